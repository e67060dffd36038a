mod brokers;
mod chaos;
mod metadata;
mod refused;
mod startup;
mod storm;
mod world;

mod brokers;
mod chaos;
mod metadata;
mod startup;
mod storm;
mod world;

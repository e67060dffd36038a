mod brokers;
mod metadata;
mod startup;
mod storm;
mod world;

//! The examples do what they say.

#[path = "../examples/delivery_handler.rs"]
#[allow(dead_code, reason = "its main: a test calls what that calls")]
mod delivery_handler;
#[path = "../examples/failed_records.rs"]
#[allow(dead_code, reason = "its main: a test calls what that calls")]
mod failed_records;
#[path = "../examples/properties.rs"]
#[allow(dead_code, reason = "its main: a test calls what that calls")]
mod properties;

#[test]
fn a_handler_hears_of_every_order() {
    delivery_handler::produce_orders().unwrap();
}

#[test]
fn what_the_broker_refuses_is_given_back() {
    failed_records::produce_two().unwrap();
}

#[test]
fn a_property_file_makes_a_producer() {
    properties::by_a_file_of_its_own().unwrap();
}

//! How much larger than a message what is read from it can be.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::super::schema::sample::Element;
use super::*;

/// Of each message the element that grows most: what an attacker would fill an array with.
#[test]
fn the_worst_element_of_each_message_is_known() {
    let mut worst: BTreeMap<&str, (Element, i16)> = BTreeMap::new();
    macro_rules! check {
        ($name:expr, $api:expr, $ours:ty, $theirs:ty, $fix:expr) => {
            for version in versions(&$api) {
                let mut elements = Vec::new();
                <$ours>::elements(version, &mut elements);
                for element in elements {
                    let held = worst.entry($name).or_insert((element, version.number));
                    if element.here * held.0.there > held.0.here * element.there {
                        *held = (element, version.number);
                    }
                }
            }
        };
    }
    for_each_message!(check);
    let mut table = String::new();
    for (message, (element, version)) in worst {
        let Element { name, here, there } = element;
        writeln!(table, "{message} v{version}: {name}: {here} bytes for {there}, {:.1}", here as f64 / there as f64)
            .unwrap();
    }
    insta::assert_snapshot!(table);
}

//! Trouble on the way to the brokers.

use milena_wire::ApiKey;

use super::detour::Detour;
use super::{Faults, Until};
use crate::rig::{Act, Proxy, Way};
use crate::soak::rng::Rng;

/// Breaks one connection or another until time is up; then all is calm.
pub(super) fn trouble(detour: &Detour, rng: &mut Rng, until: Until<'_>) -> Faults {
    let mut faults = Faults::new();
    let proxies: Vec<&Proxy> = detour.proxies().collect();
    while !until.is_over() {
        until.sleep(rng.millis(50, 2500));
        let proxy = proxies[rng.index(proxies.len())];
        let bytes = rng.index(200);
        let pause = rng.millis(50, 2500);
        let what = match rng.between(0, 8) {
            0 => {
                proxy.cut();
                "connections closed"
            }
            1 => {
                proxy.reset();
                "connections reset"
            }
            2 => {
                proxy.forget();
                "connections forgotten by a middlebox"
            }
            3 => {
                proxy.mute(true);
                until.sleep(pause);
                proxy.mute(false);
                "connections stalled for up to 2.5 s"
            }
            4 => {
                proxy.refuse(true);
                until.sleep(pause);
                proxy.refuse(false);
                "connections refused for up to 2.5 s"
            }
            5 => {
                proxy.strike(Way::ToBroker, ApiKey::PRODUCE, Act::CutAfter(bytes));
                "produce requests cut off in the middle"
            }
            6 => {
                proxy.strike(Way::ToClient, ApiKey::PRODUCE, Act::ResetAfter(bytes));
                "produce answers cut off in the middle"
            }
            7 => {
                proxy.strike(Way::ToClient, ApiKey::PRODUCE, Act::StallAfter(bytes));
                "produce answers that never end"
            }
            _ => {
                proxy.strike(Way::ToClient, ApiKey::METADATA, Act::CutAfter(bytes));
                "metadata answers cut off in the middle"
            }
        };
        *faults.entry(what).or_default() += 1;
    }
    for proxy in proxies {
        proxy.calm();
    }
    faults
}

//! Failed batches that are handed out with what their callers are owed.

use shuttle::future::block_on;
use shuttle::thread;

use super::*;
use crate::{Delivery, Urgency};

/// Two records in a batch that fails, and is handed out to whoever waits for it.
fn failing() -> (Accumulator, Arc<Heard>, [Delivery; 2]) {
    let (accumulator, heard) = ignorant(1 << 20, true);
    describe(&accumulator);
    let deliveries = [(); 2].map(|()| accumulator.append(at(), &record(0), Urgency::Linger, None).unwrap());
    (accumulator, heard, deliveries)
}

fn fail(accumulator: &Accumulator) {
    let mut ready = Vec::new();
    accumulator.take_ready(&mut ready);
    ready[0].close_head(Take::OpenToo).expect("a batch").seal().settle(failed());
}

/// Takes the batch as soon as it is there.
fn take(heard: &Heard) -> Diverted {
    loop {
        if let Some(diverted) = heard.diverted.lock().unwrap().pop() {
            return diverted;
        }
        heard.bell.wait();
    }
}

#[test]
fn a_failed_batch_is_owed_until_whoever_took_it_lets_go() {
    explore(|| {
        let (accumulator, heard, [waits, goes]) = failing();
        let waiter = thread::spawn(move || block_on(waits).map_err(|error| error.fate()));
        let dropper = thread::spawn(move || drop(goes));
        let taker = {
            let (heard, accumulator) = (Arc::clone(&heard), accumulator.clone());
            thread::spawn(move || {
                let diverted = take(&heard);
                assert!(accumulator.memory().used > 0, "its memory counts");
                drop(diverted);
            })
        };
        fail(&accumulator);
        assert_eq!(waiter.join().unwrap(), Err(Fate::NotWritten));
        dropper.join().unwrap();
        taker.join().unwrap();
        assert_eq!((heard.unobserved(), accumulator.memory().used), (1, 0));
    });
}

/// What is on a disk, to be sent later, is no failure that anybody has to hear of, whenever its handle was dropped.
#[test]
fn a_batch_that_is_kept_fails_for_who_waits_and_is_nobodys_loss() {
    explore(|| {
        let (accumulator, heard, [waits, goes]) = failing();
        let waiter = thread::spawn(move || block_on(waits).map_err(|error| error.fate()));
        let dropper = thread::spawn(move || drop(goes));
        let taker = {
            let heard = Arc::clone(&heard);
            thread::spawn(move || take(&heard).settle(Outcome::Failed(Arc::new(failure(Fate::Spooled)))))
        };
        fail(&accumulator);
        assert_eq!(waiter.join().unwrap(), Err(Fate::Spooled));
        dropper.join().unwrap();
        taker.join().unwrap();
        assert_eq!((heard.unobserved(), accumulator.memory().used), (0, 0));
    });
}

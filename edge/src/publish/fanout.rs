//! One result for several sinks, each of which can be exchanged while results flow.

use std::sync::{Arc, Mutex, PoisonError};

use super::{Observation, PublishError, Sink};

/// A place for a sink, shared by the thread that publishes and the one that exchanges it.
#[derive(Clone, Default)]
pub struct Slot(Arc<Mutex<Option<Box<dyn Sink + Send>>>>);

impl Slot {
    /// Puts a sink here, or none; returns the one that was here.
    ///
    /// To open again what only one can have (a port, a client id), take the old sink out and drop it
    /// first: results are not published here in between.
    pub fn put(&self, sink: Option<Box<dyn Sink + Send>>) -> Option<Box<dyn Sink + Send>> {
        let mut place = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *place, sink)
    }

    /// Whether there is no sink here.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let place = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        place.is_none()
    }

    /// Publishes to the sink, if there is one here.
    fn offer(&self, observation: &Observation) -> Option<Result<(), PublishError>> {
        let mut place = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        place.as_mut().map(|sink| sink.publish(observation))
    }
}

/// A place for a sink, and whether it is known to fail.
#[derive(Clone)]
struct Branch {
    slot: Slot,
    failing: bool,
}

/// Publishes to several sinks.
#[derive(Clone, Default)]
pub struct Fanout(Vec<Branch>);

impl Fanout {
    /// Adds a sink, or a place for one.
    pub fn add(&mut self, slot: Slot) {
        self.0.push(Branch {
            slot,
            failing: false,
        });
    }
}

impl Sink for Fanout {
    /// A sink that fails is warned of once, keeps none of the others from the result, and is tried again
    /// with the next one.
    ///
    /// # Errors
    /// Returns the failure where no other sink took the result. One that was warned of before is no
    /// reason to end: the other sink may just be exchanged.
    fn publish(&mut self, observation: &Observation) -> Result<(), PublishError> {
        let mut taken = false;
        let mut failure = None;
        for branch in &mut self.0 {
            match branch.slot.offer(observation) {
                None => {}
                Some(Ok(())) => {
                    taken = true;
                    if std::mem::take(&mut branch.failing) {
                        tracing::info!("the outlet that failed takes results again");
                    }
                }
                Some(Err(_)) if branch.failing => {}
                Some(Err(error)) => failure = failure.or(Some((branch, error))),
            }
        }
        match failure {
            None => Ok(()),
            Some((branch, error)) if taken => {
                tracing::warn!(%error, "this outlet's results are left out until it works again");
                branch.failing = true;
                Ok(())
            }
            Some((_, error)) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fer_models::Labels;
    use std::sync::mpsc::{Sender, channel};

    struct To(Sender<u64>, bool);

    impl Sink for To {
        fn publish(&mut self, observation: &Observation) -> Result<(), PublishError> {
            let sent = self.0.send(observation.seq);
            assert!(sent.is_ok());
            if self.1 {
                Err(PublishError::Closed)
            } else {
                Ok(())
            }
        }
    }

    fn slot(sender: &Sender<u64>, fails: bool) -> Slot {
        let slot = Slot::default();
        slot.put(Some(Box::new(To(sender.clone(), fails))));
        slot
    }

    fn observation(seq: u64) -> Observation {
        Observation {
            seq,
            t_ms: 0,
            source: "".into(),
            file: String::new(),
            model: "".into(),
            labels: Labels::fer2013().into(),
            faces: Vec::new(),
        }
    }

    #[test]
    fn a_failing_sink_ends_nothing_while_another_takes_the_results() {
        let (sender, receiver) = channel();
        let mut fanout = Fanout::default();
        for fails in [false, true, false] {
            fanout.add(slot(&sender, fails));
        }
        for seq in [7, 8] {
            fanout.publish(&observation(seq)).unwrap();
        }
        // the failing one is tried again
        let heard: Vec<_> = receiver.try_iter().collect();
        assert_eq!(heard, [7, 7, 7, 8, 8, 8]);
    }

    #[test]
    fn a_failing_sink_ends_all_where_it_is_the_only_one() {
        let (sender, _receiver) = channel();
        let mut fanout = Fanout::default();
        fanout.add(Slot::default());
        fanout.add(slot(&sender, true));
        let result = fanout.publish(&observation(7));
        assert!(matches!(result, Err(PublishError::Closed)));
    }

    #[test]
    fn a_sink_that_is_known_to_fail_ends_nothing_while_the_other_is_exchanged() {
        let (sender, _receiver) = channel();
        let other = slot(&sender, false);
        let mut fanout = Fanout::default();
        fanout.add(slot(&sender, true));
        fanout.add(other.clone());
        fanout.publish(&observation(0)).unwrap();
        other.put(None);
        fanout.publish(&observation(1)).unwrap();
    }

    #[test]
    fn sinks_are_exchanged_between_results() {
        let (sender, receiver) = channel();
        let slot = Slot::default();
        let mut fanout = Fanout::default();
        fanout.add(slot.clone());
        fanout.publish(&observation(0)).unwrap();
        slot.put(Some(Box::new(To(sender, false))));
        fanout.publish(&observation(1)).unwrap();
        assert!(!slot.is_empty() && slot.put(None).is_some() && slot.is_empty());
        fanout.publish(&observation(2)).unwrap();
        assert_eq!(receiver.try_iter().collect::<Vec<_>>(), [1]);
    }
}

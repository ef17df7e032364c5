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
}

impl Sink for Slot {
    fn publish(&mut self, observation: &Observation) -> Result<(), PublishError> {
        let mut place = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        place
            .as_mut()
            .map_or(Ok(()), |sink| sink.publish(observation))
    }
}

/// Publishes to several sinks.
#[derive(Clone, Default)]
pub struct Fanout(Vec<Slot>);

impl Fanout {
    /// Adds a sink, or a place for one.
    pub fn add(&mut self, slot: Slot) {
        self.0.push(slot);
    }
}

impl Sink for Fanout {
    /// A sink that fails doesn't keep the others from the result; the first failure is returned.
    fn publish(&mut self, observation: &Observation) -> Result<(), PublishError> {
        let mut result = Ok(());
        for slot in &mut self.0 {
            result = result.and(slot.publish(observation));
        }
        result
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
    fn every_sink_gets_the_result_even_beside_a_failing_one() {
        let (sender, receiver) = channel();
        let mut fanout = Fanout::default();
        for fails in [false, true, false] {
            let slot = Slot::default();
            slot.put(Some(Box::new(To(sender.clone(), fails))));
            fanout.add(slot);
        }
        assert!(matches!(
            fanout.publish(&observation(7)),
            Err(PublishError::Closed)
        ));
        assert_eq!(receiver.try_iter().collect::<Vec<_>>(), [7, 7, 7]);
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

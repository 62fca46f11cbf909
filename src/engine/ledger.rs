//! The ledger of batches in flight: dispatched in order, settled in any order, released from the head only.

use std::{collections::VecDeque, marker::PhantomData};

use model::Seq;

use crate::rules::{Rules, Sound};

/// A batch that does not join the one before it, or a settlement of a batch that is not in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    /// Batches are missing or repeated.
    #[error("batch {got} does not follow {expected}: batches were lost or repeated inside the pipeline")]
    Gap {
        /// The number that had to come.
        expected: Seq,
        /// The number that came.
        got: Seq,
    },
    /// Settled twice, or never dispatched.
    #[error("batch {0} was settled but is not in flight")]
    Unknown(Seq),
}

#[derive(Debug)]
struct Entry<P> {
    end: P,
    delivered: bool,
}

/// Batches in flight, oldest first.
#[derive(Debug)]
pub struct Ledger<P, R = Sound> {
    entries: VecDeque<Entry<P>>,
    /// Number of the head entry, or of the next one when there is none.
    head: Seq,
    rules: PhantomData<R>,
}

impl<P, R> Default for Ledger<P, R> {
    fn default() -> Self {
        Self { entries: VecDeque::new(), head: Seq(0), rules: PhantomData }
    }
}

impl<P, R: Rules> Ledger<P, R> {
    /// Batches in flight.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing is in flight.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// A batch was dispatched; `end` is where the source goes on after it.
    ///
    /// # Errors
    /// It does not follow the last one.
    pub fn dispatch(&mut self, seq: Seq, end: P) -> Result<(), LedgerError> {
        let expected = Seq(self.head.0 + self.entries.len() as u64);
        if seq != expected {
            return Err(LedgerError::Gap { expected, got: seq });
        }
        self.entries.push_back(Entry { end, delivered: false });
        Ok(())
    }

    /// A batch was delivered. Gives the last batch of the contiguous prefix that this completes, if any.
    ///
    /// # Errors
    /// It is not in flight, or was settled before.
    pub fn deliver(&mut self, seq: Seq) -> Result<Option<(Seq, P)>, LedgerError> {
        let Some(index) = seq.0.checked_sub(self.head.0) else {
            // Without the rule this is a batch that was passed over before.
            return if R::PREFIX_ONLY { Err(LedgerError::Unknown(seq)) } else { Ok(None) };
        };
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        match self.entries.get_mut(index) {
            Some(entry) if !entry.delivered => entry.delivered = true,
            _ => return Err(LedgerError::Unknown(seq)),
        }
        if !R::PREFIX_ONLY {
            self.entries.iter_mut().take(index).for_each(|entry| entry.delivered = true);
        }
        let mut last = None;
        while self.entries.front().is_some_and(|entry| entry.delivered) {
            if let Some(entry) = self.entries.pop_front() {
                last = Some((self.head, entry.end));
                self.head = self.head.next();
            }
        }
        Ok(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_only_the_contiguous_prefix() {
        let mut ledger: Ledger<_> = Ledger::default();
        for n in 0..4 {
            assert_eq!(ledger.dispatch(Seq(n), n * 10), Ok(()));
        }
        assert_eq!(ledger.deliver(Seq(2)), Ok(None));
        assert_eq!(ledger.deliver(Seq(1)), Ok(None));
        assert_eq!(ledger.deliver(Seq(0)), Ok(Some((Seq(2), 20))));
        assert_eq!(ledger.len(), 1);
        assert_eq!(ledger.deliver(Seq(3)), Ok(Some((Seq(3), 30))));
        assert!(ledger.is_empty());
    }

    #[test]
    fn refuses_gaps_repeats_and_strangers() {
        let mut ledger: Ledger<_> = Ledger::default();
        assert_eq!(ledger.dispatch(Seq(1), ()), Err(LedgerError::Gap { expected: Seq(0), got: Seq(1) }));
        assert_eq!(ledger.dispatch(Seq(0), ()), Ok(()));
        assert_eq!(ledger.dispatch(Seq(0), ()), Err(LedgerError::Gap { expected: Seq(1), got: Seq(0) }));
        assert_eq!(ledger.deliver(Seq(7)), Err(LedgerError::Unknown(Seq(7))));
        assert_eq!(ledger.deliver(Seq(0)), Ok(Some((Seq(0), ()))));
        assert_eq!(ledger.deliver(Seq(0)), Err(LedgerError::Unknown(Seq(0))));
    }
}

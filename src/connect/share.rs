//! The process's memory for batches, lent to connectors in shares.
//!
//! A share is the connector's own: whatever one of them does, the others keep theirs. A part of it is the producer's
//! queue, whose size is settled when the producer is made; the rest is a budget that becomes smaller when connectors come
//! and larger when they go, so that all have equal ones, however many there are and in whatever order they came.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use engine::budget::Budget;

/// Least budget with which a connector can work.
const LEAST: usize = 512 << 10;

/// The memory lent to connectors.
#[derive(Debug)]
pub struct Pool {
    total: usize,
    lent: Mutex<Lent>,
}

#[derive(Debug, Default)]
struct Lent {
    next: u64,
    shares: Vec<(u64, usize, Budget)>,
}

/// A connector's share, given back when dropped.
#[derive(Debug)]
pub struct Share {
    pool: Arc<Pool>,
    number: u64,
    queue: usize,
    budget: Budget,
}

impl Pool {
    /// A pool of `bytes`.
    pub fn new(bytes: usize) -> Arc<Self> {
        Arc::new(Self { total: bytes, lent: Mutex::default() })
    }

    fn lent(&self) -> MutexGuard<'_, Lent> {
        self.lent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What each of `n` connectors has: equal parts, and one part kept back for the connector that comes next, because
    /// what the others hold at that moment comes back only by and by.
    fn part(&self, n: usize) -> usize {
        self.total / (n + 1)
    }

    /// The budget of each, where the queues take what they take.
    fn budget(&self, n: usize, queues: usize) -> Option<usize> {
        let left = self.total.checked_sub(self.part(n))?.checked_sub(queues)?;
        let most = self.part(n) - self.part(n) / 3;
        Some((left / n.max(1)).min(most)).filter(|bytes| *bytes >= LEAST)
    }

    /// A share for one connector where `waiting` more are about to ask. `None` when too little is left to work with.
    pub fn lend(self: &Arc<Self>, waiting: usize) -> Option<Share> {
        let mut lent = self.lent();
        let n = lent.shares.len() + 1;
        let queue = self.part(n + waiting) / 3;
        let queues = lent.shares.iter().map(|(_, queue, _)| *queue).sum::<usize>() + queue;
        let bytes = self.budget(n, queues)?;
        lent.shares.iter().for_each(|(_, _, budget)| budget.resize(bytes));
        let (number, budget) = (lent.next, Budget::new(bytes));
        lent.next += 1;
        lent.shares.push((number, queue, budget.clone()));
        Some(Share { pool: self.clone(), number, queue, budget })
    }
}

impl Share {
    /// Bytes for the producer's queue.
    pub fn queue(&self) -> usize {
        self.queue
    }

    /// The rest, for batches on their way to it.
    pub fn budget(&self) -> Budget {
        self.budget.clone()
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut lent = self.pool.lent();
        lent.shares.retain(|(number, _, _)| *number != self.number);
        let queues = lent.shares.iter().map(|(_, queue, _)| *queue).sum();
        if let Some(bytes) = self.pool.budget(lent.shares.len(), queues) {
            lent.shares.iter().for_each(|(_, _, budget)| budget.resize(bytes));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    #[test]
    fn the_first_has_half_and_all_have_the_same_in_the_end() {
        let pool = Pool::new(64 * MIB);
        let first = pool.lend(0).unwrap();
        assert_eq!((first.queue() + first.budget().limit()) / MIB, 31, "half, in whole units");
        let mut shares = vec![first];
        while let Some(share) = pool.lend(0) {
            shares.push(share);
            let limits: Vec<usize> = shares.iter().map(|share| share.budget().limit()).collect();
            assert!(limits.iter().all(|limit| *limit == limits[0] && *limit >= LEAST), "{limits:?}");
            let all: usize = shares.iter().map(|share| share.queue() + share.budget().limit()).sum();
            assert!(all <= 64 * MIB, "{} connectors have {all}", shares.len());
        }
        assert!(shares.len() >= 12, "{}", shares.len());
        shares.truncate(1);
        assert_eq!((shares[0].queue() + shares[0].budget().limit()) / MIB, 31);
    }

    #[test]
    fn those_that_start_together_have_equal_queues() {
        let pool = Pool::new(64 * MIB);
        let shares: Vec<_> = (0..31).rev().filter_map(|waiting| pool.lend(waiting)).collect();
        assert_eq!(shares.len(), 31);
        assert!(shares.iter().all(|share| share.queue() == shares[0].queue()), "{shares:?}");
        assert!(shares.iter().all(|share| share.budget().limit() == shares[0].budget().limit()), "{shares:?}");
    }
}

//! The process's memory for batches, lent to connectors in shares.
//!
//! A share is the connector's own: whatever one of them does, the others keep theirs. The shares together never
//! exceed the pool.

use std::sync::{Arc, Mutex, PoisonError};

/// Least share with which a connector can work.
const LEAST: usize = 1 << 20;

/// The memory lent to connectors.
#[derive(Debug)]
pub struct Pool {
    free: Mutex<usize>,
}

/// A connector's share, given back when dropped.
#[derive(Debug)]
pub struct Share {
    pool: Arc<Pool>,
    bytes: usize,
}

impl Pool {
    /// A pool of `bytes`.
    pub fn new(bytes: usize) -> Arc<Self> {
        Arc::new(Self { free: Mutex::new(bytes) })
    }

    /// A share for one connector where `waiting` more are about to ask: equal parts, and one part kept back for
    /// connectors that come later. `None` when too little is left to work with.
    pub fn lend(self: &Arc<Self>, waiting: usize) -> Option<Share> {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = (*free / (waiting + 2)).max(LEAST);
        *free = free.checked_sub(bytes)?;
        Some(Share { pool: self.clone(), bytes })
    }
}

impl Share {
    /// Its size.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        *self.pool.free.lock().unwrap_or_else(PoisonError::into_inner) += self.bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_equal_bounded_and_come_back() {
        let pool = Pool::new(64 << 20);
        let shares: Vec<_> = (0..3).rev().filter_map(|waiting| pool.lend(waiting)).collect();
        assert!(shares.iter().all(|share| share.bytes() == 16 << 20), "{shares:?}");
        let mut more = Vec::new();
        while let Some(share) = pool.lend(0) {
            more.push(share);
        }
        let lent: usize = shares.iter().chain(&more).map(Share::bytes).sum();
        assert!(lent <= 64 << 20 && lent > 60 << 20, "{lent}");
        drop((shares, more));
        assert_eq!(*pool.free.lock().unwrap(), 64 << 20);
    }
}

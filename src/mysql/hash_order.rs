//! The order in which Debezium names several tables in one record: that of Java's hash tables.
//!
//! `source.table` of a statement about several tables and `data_collections` of a transaction come out of a `HashSet`
//! and a `HashMap` of `db.table`; their order depends on nothing but the names and the order they were put in.

/// Buckets of a new table; it doubles when it is more than three quarters full.
const BUCKETS: usize = 16;

/// Sorts entries, which stand in the order they were put in, as a hash table of their names gives them.
pub(crate) fn sort<T>(entries: &mut [T], mut name: impl FnMut(&T) -> u32) {
    let mut buckets = BUCKETS;
    while entries.len() > buckets / 4 * 3 {
        buckets *= 2;
    }
    // Entries of one bucket stay in the order they came: the sort is stable, as the buckets' lists are.
    entries.sort_by_cached_key(|entry| {
        let hash = name(entry);
        (hash ^ (hash >> 16)) as usize & (buckets - 1)
    });
}

/// `String.hashCode` of the parts joined.
pub(crate) fn hash(parts: &[&str]) -> u32 {
    let units = parts.iter().flat_map(|part| part.encode_utf16());
    units.fold(0u32, |hash, unit| hash.wrapping_mul(31).wrapping_add(u32::from(unit)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Orders that Debezium 3.6.1 gave for statements about these tables of database `compat_probe`.
    #[test]
    fn tables_come_in_the_order_of_a_hash_set() {
        for (put, given) in [
            (vec!["qz", "qy", "qa", "qb"], "qy,qz,qa,qb"),
            (vec!["qb", "qz", "zulu_x", "later", "qa", "ba", "another", "qy"], "qy,qz,zulu_x,later,ba,qa,another,qb"),
        ] {
            let mut names = put;
            sort(&mut names, |name| hash(&["compat_probe", ".", name]));
            assert_eq!(names.join(","), given);
        }
    }

    #[test]
    fn hashes_are_javas() {
        assert_eq!(hash(&["hello"]), 99_162_322);
        assert_eq!(hash(&["he", "", "llo"]), 99_162_322);
        // Of the two halves of a surrogate pair.
        assert_eq!(hash(&["😀"]), 0xd83d * 31 + 0xde00);
    }
}

//! What was found out about things that change now and then, each looked into once for each state of it.

use std::collections::BTreeMap;

/// What is known of things by their keys, and in which state (`S`: lengths, times) they were looked into.
#[derive(Debug)]
pub struct Found<K, S, V> {
    before: BTreeMap<K, (S, V)>,
    /// Of those that were asked for in this round.
    now: BTreeMap<K, (S, V)>,
}

impl<K, S, V> Default for Found<K, S, V> {
    fn default() -> Self {
        Self { before: BTreeMap::new(), now: BTreeMap::new() }
    }
}

impl<K: Ord, S: PartialEq, V: Clone> Found<K, S, V> {
    /// What is found of a thing in this state; `look` is called where that is not known, and gives `None` where it cannot say.
    pub fn get(&mut self, key: K, state: S, look: impl FnOnce() -> Option<V>) -> Option<V> {
        let known = self.before.remove(&key).filter(|(at, _)| *at == state);
        let value = known.map(|(_, value)| value).or_else(look)?;
        self.now.insert(key, (state, value.clone()));
        Some(value)
    }

    /// Ends a round: what was not asked for in it has gone, and is forgotten.
    pub fn end_round(&mut self) {
        self.before = std::mem::take(&mut self.now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_gone_is_forgotten_and_what_changed_is_looked_into_again() {
        let mut found = Found::default();
        let mut looks = 0;
        let mut ask = |key: &'static str, length: u32, found: &mut Found<_, _, u32>| {
            found.get(key, length, || {
                looks += 1;
                (length > 0).then_some(looks)
            })
        };
        assert_eq!((ask("a", 1, &mut found), ask("b", 1, &mut found)), (Some(1), Some(2)));
        found.end_round();
        assert_eq!((ask("a", 1, &mut found), ask("b", 2, &mut found)), (Some(1), Some(3)), "b has changed");
        found.end_round();
        assert_eq!(ask("b", 0, &mut found), None);
        found.end_round();
        assert!(found.before.is_empty() && found.now.is_empty(), "{found:?}");
        assert_eq!(ask("a", 1, &mut found), Some(5), "a was gone for a round");
    }
}

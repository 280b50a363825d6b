//! How many connections there may be: in all, and from one address, so that one machine cannot take them all.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The part of an address that one machine cannot change at will. In IPv6 that is the /64: a host elsewhere has one
/// to itself, and one on our own link can take any address of the link's. So all neighbours that come by IPv6 share
/// one count, and IPv4 remains to them if one of them uses it up.
pub(crate) fn neighbourhood(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into(),
        v4 => v4,
    }
}

/// The connections that there are, by whose they are; local ones have no address.
#[derive(Clone, Debug)]
pub(crate) struct Slots {
    taken: Arc<Mutex<HashMap<Option<IpAddr>, usize>>>,
    in_all: usize,
    from_one: usize,
}

impl Slots {
    /// All free.
    pub(crate) fn new(in_all: usize, from_one: usize) -> Self {
        Self {
            taken: Arc::default(),
            in_all,
            from_one,
        }
    }

    /// A slot for a connection from an address, if one is free. Dropping it frees it.
    pub(crate) fn take(&self, address: Option<IpAddr>) -> Option<Slot> {
        let address = address.map(neighbourhood);
        let mut taken = self.lock();
        let sum: usize = taken.values().sum();
        let ours = taken.get(&address).copied().unwrap_or_default();
        if sum >= self.in_all || ours >= self.from_one {
            return None;
        }
        taken.insert(address, ours + 1);
        Some(Slot {
            slots: self.clone(),
            address,
        })
    }

    fn free(&self, address: &Option<IpAddr>) {
        let mut taken = self.lock();
        match taken.get_mut(address) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(taken.remove(address)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Option<IpAddr>, usize>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to one connection.
#[derive(Debug)]
pub(crate) struct Slot {
    slots: Slots,
    address: Option<IpAddr>,
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.slots.free(&self.address);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_machine_cannot_take_them_all() {
        let slots = Slots::new(5, 2);
        let take = |text: &str| slots.take(Some(text.parse().unwrap()));
        let mine = [take("2001:db8::1"), take("2001:db8::2")];
        assert!(mine.iter().all(Option::is_some));
        assert!(take("2001:db8::3").is_none());
        assert!(take("2001:db8:0:1::1").is_some());
        drop(mine);
        assert!(take("2001:db8::3").is_some());
        assert!(slots.lock().is_empty(), "what is free is forgotten");
    }

    #[test]
    fn there_are_so_many_in_all() {
        let slots = Slots::new(3, 2);
        let held: Vec<_> = (1..=3)
            .map(|n| slots.take(Some(IpAddr::from([192, 0, 2, n]))))
            .collect();
        assert!(held.iter().all(Option::is_some));
        assert!(slots.take(Some(IpAddr::from([192, 0, 2, 4]))).is_none());
        assert!(slots.take(None).is_none());
    }
}

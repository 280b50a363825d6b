//! How many connections there may be: in all, and from one address, so that one machine cannot take them all. Where all are
//! taken, one gives way that does nothing for anybody who was let in: of whoever has most, the one that has rested longest.
//! So whoever holds many connections open takes them from themselves.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio_util::sync::CancellationToken;

/// The part of an address that one machine cannot change at will. In IPv6 that is the /64: a host elsewhere has one
/// to itself, and one on our own link can take any address of the link's. So all neighbours that come by IPv6 share
/// one count, and IPv4 remains to them if one of them uses it up.
pub(crate) fn neighbourhood(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into(),
        v4 => v4,
    }
}

/// A connection that there is.
#[derive(Debug)]
struct Taken {
    /// Whose it is; a local one has no address.
    address: Option<IpAddr>,
    /// When it last began or ended something, as the number of that event.
    stirred: u64,
    /// The request in work for somebody who was let in, as the number of the event with which it began.
    kept: Option<u64>,
    gives_way: CancellationToken,
}

/// All of them, by their numbers.
#[derive(Debug, Default)]
struct Table {
    taken: HashMap<u64, Taken>,
    /// Events so far.
    events: u64,
}

/// The connections that there are.
#[derive(Clone, Debug)]
pub(crate) struct Slots {
    table: Arc<Mutex<Table>>,
    in_all: usize,
    from_one: usize,
}

impl Slots {
    /// All free.
    pub(crate) fn new(in_all: usize, from_one: usize) -> Self {
        Self {
            table: Arc::default(),
            in_all,
            from_one,
        }
    }

    /// A slot for a connection from an address, if one is free or another connection can give way. Dropping it frees it.
    pub(crate) fn take(&self, address: Option<IpAddr>) -> Option<Slot> {
        let address = address.map(neighbourhood);
        let mut table = self.lock();
        if table.of(address) >= self.from_one {
            table.make_room(|other| other == address)?;
        }
        if table.taken.len() >= self.in_all {
            table.make_room(|_| true)?;
        }
        let number = table.next();
        let gives_way = CancellationToken::new();
        let taken = Taken {
            address,
            stirred: number,
            kept: None,
            gives_way: gives_way.clone(),
        };
        table.taken.insert(number, taken);
        Some(Slot {
            slots: self.clone(),
            number,
            gives_way,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn next(&mut self) -> u64 {
        self.events += 1;
        self.events
    }

    fn of(&self, address: Option<IpAddr>) -> usize {
        self.taken
            .values()
            .filter(|taken| taken.address == address)
            .count()
    }

    /// Has one of the connections from such addresses give way; nothing if all are kept.
    fn make_room(&mut self, from: impl Fn(Option<IpAddr>) -> bool) -> Option<()> {
        let mut counts = HashMap::<Option<IpAddr>, usize>::new();
        for taken in self.taken.values() {
            *counts.entry(taken.address).or_default() += 1;
        }
        let resting = self
            .taken
            .iter()
            .filter(|(_, taken)| taken.kept.is_none() && from(taken.address));
        let first = resting.max_by_key(|(_, taken)| (counts[&taken.address], u64::MAX - taken.stirred));
        let number = *first?.0;
        self.taken.remove(&number)?.gives_way.cancel();
        Some(())
    }

    /// Notes that a connection begins or ends something. One that has given way is not there any more.
    fn stir(&mut self, number: u64, change: impl FnOnce(&mut Taken)) -> u64 {
        let event = self.next();
        if let Some(taken) = self.taken.get_mut(&number) {
            taken.stirred = event;
            change(taken);
        }
        event
    }
}

/// The right to one connection.
#[derive(Debug)]
pub(crate) struct Slot {
    slots: Slots,
    number: u64,
    gives_way: CancellationToken,
}

impl Slot {
    /// Fires when the connection is to make room for another.
    pub(crate) fn gives_way(&self) -> &CancellationToken {
        &self.gives_way
    }

    /// The connection begins to answer a request.
    pub(crate) fn begin(&self) -> Turn {
        let event = self.slots.lock().stir(self.number, |_| ());
        Turn(Arc::new(Request {
            slots: self.slots.clone(),
            number: self.number,
            event,
        }))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.slots.lock().taken.remove(&self.number);
    }
}

/// A request that is being answered, until the last one of it is dropped.
#[derive(Clone, Debug)]
pub(crate) struct Turn(Arc<Request>);

impl Turn {
    /// It is somebody's who was let in: its connection gives way to nobody until it is answered.
    pub(crate) fn keep(&self) {
        let Request { slots, number, event } = &*self.0;
        slots.lock().stir(*number, |taken| taken.kept = Some(*event));
    }
}

#[derive(Debug)]
struct Request {
    slots: Slots,
    /// Its connection.
    number: u64,
    /// With which it began.
    event: u64,
}

impl Drop for Request {
    fn drop(&mut self) {
        self.slots.lock().stir(self.number, |taken| {
            // The next one may have begun.
            taken.kept = taken.kept.filter(|kept| *kept != self.event);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(slots: &Slots, address: &str) -> Option<(Slot, Turn)> {
        let slot = slots.take(Some(address.parse().unwrap()))?;
        let turn = slot.begin();
        turn.keep();
        Some((slot, turn))
    }

    fn idle(slots: &Slots, address: &str) -> Slot {
        slots.take(Some(address.parse().unwrap())).unwrap()
    }

    fn gone(slot: &Slot) -> bool {
        slot.gives_way().is_cancelled()
    }

    #[test]
    fn one_machine_cannot_take_them_all() {
        let slots = Slots::new(5, 2);
        let mine = ["2001:db8::1", "2001:db8::2"].map(|address| kept(&slots, address));
        assert!(mine.iter().all(Option::is_some));
        assert!(kept(&slots, "2001:db8::3").is_none());
        assert!(kept(&slots, "2001:db8:0:1::1").is_some());
        drop(mine);
        assert!(kept(&slots, "2001:db8::3").is_some());
        assert!(slots.lock().taken.is_empty(), "what is free is forgotten");
    }

    #[test]
    fn there_are_so_many_in_all() {
        let slots = Slots::new(3, 2);
        let held = ["192.0.2.1", "192.0.2.2", "192.0.2.3"].map(|address| kept(&slots, address));
        assert!(held.iter().all(Option::is_some));
        assert!(kept(&slots, "192.0.2.4").is_none());
        assert!(slots.take(None).is_none());
    }

    #[test]
    fn of_ones_own_the_one_gives_way_that_has_rested_longest() {
        let slots = Slots::new(9, 3);
        let [first, second, third] = [(); 3].map(|()| idle(&slots, "192.0.2.1"));
        drop(first.begin());
        let fourth = idle(&slots, "192.0.2.1");
        assert!(gone(&second) && !gone(&first) && !gone(&third));
        drop(second);
        let turn = third.begin();
        turn.keep();
        let _fifth = idle(&slots, "192.0.2.1");
        assert!(gone(&first) && !gone(&third) && !gone(&fourth));
        drop(turn);
        let more = [(); 2].map(|()| idle(&slots, "192.0.2.1"));
        assert!(gone(&fourth) && !gone(&third), "it had rested less long");
        assert_eq!(more.map(|slot| gone(&slot)), [false, false]);
    }

    #[test]
    fn whoever_has_most_makes_room_for_others() {
        let slots = Slots::new(4, 3);
        let lone = idle(&slots, "192.0.2.9");
        let many = [(); 3].map(|()| idle(&slots, "192.0.2.1"));
        let _guest = idle(&slots, "192.0.2.2");
        assert_eq!(many.each_ref().map(gone), [true, false, false]);
        assert!(!gone(&lone), "it has rested longest, and is its owner's only one");
    }

    #[test]
    fn a_request_that_nobody_answers_for_keeps_no_connection() {
        let slots = Slots::new(1, 1);
        let slow = idle(&slots, "192.0.2.1");
        let _body = slow.begin();
        assert!(slots.take(Some("192.0.2.2".parse().unwrap())).is_some());
        assert!(gone(&slow));
    }
}

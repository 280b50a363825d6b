//! The plausibility filter: what the sensors say, what of it is believed, and how hot that makes the processor.
//!
//! A sensor that is not believed never makes the assumed temperature lower. While others on the same silicon are
//! believed, it counts as much hotter than they as it was when it could be believed; when none is, the laws are told
//! that they are [`Blind`] and fall back on a clock that needs no sensor.

mod kinds;
mod listing;
mod track;

#[cfg(test)]
mod tests;

use crate::share::Drawn;
use alloc::{collections::BTreeMap, format, string::String, vec::Vec};
use listing::{Listed, Role};
use machine::{Capabilities, Distrust, MilliCelsius, Sample, SensorState, Tuning, Warning};
use track::{Around, Beside, Track};

pub(crate) use listing::{celsius, critical};

/// Why the processor's temperature is not known although there are sensors for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blind {
    /// What was read has gone: something has broken.
    Lost,
    /// What is read has moved once, and is no longer worth believing.
    Doubted,
    /// None has ever moved: this machine never told its temperature.
    Dead,
}

/// A sensor by which the firmware may pull the plug: it is believed, and has shown that it lives.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Proof {
    pub(crate) name: String,
    /// What it reads, in °C.
    pub(crate) reading: f64,
    /// Where the plug is pulled, in °C.
    pub(crate) critical: f64,
}

/// What the sensors come to.
#[derive(Clone, Debug, Default)]
pub(crate) struct View {
    /// The processor's temperature that is assumed, in °C; `None` on a machine without such a sensor.
    pub(crate) assumed: Option<f64>,
    /// The sensor that says so.
    pub(crate) hottest: Option<String>,
    /// The processor's temperature by what has ever moved, in °C: what merely stands does not stop an engine.
    pub(crate) lived: Option<f64>,
    /// The one that is nearest to the critical temperature.
    pub(crate) proof: Option<Proof>,
    /// Set while there are sensors of the processor and none is believed.
    pub(crate) blind: Option<Blind>,
    /// Whether all that are believed have stood still so long that only a change of power can tell whether they live.
    pub(crate) stands: bool,
    /// By how much anything else is over its own limit, in K, and its name.
    pub(crate) other: Option<(f64, String)>,
    /// Every sensor.
    pub(crate) states: Vec<SensorState>,
    /// What is not believed, and why.
    pub(crate) warnings: Vec<Warning>,
}

/// Every sensor's past.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sensors {
    tracks: BTreeMap<String, (Listed, Track)>,
    /// The temperature that was assumed last, in °C.
    assumed: Option<f64>,
    /// How many of the processor's sensors are doubted, and for how many seconds there have not been more.
    doubted: (usize, f64),
}

/// Seconds for which the assumed temperature does not fall after another sensor is doubted.
const DOUBT_HOLD: f64 = 3.0;

/// A sensor weighed: what it is taken to read, and why it is not believed.
struct Weighed {
    name: String,
    temp: Option<f64>,
    distrust: Option<Distrust>,
}

impl Sensors {
    /// Takes in a sample, `dt` seconds after the last.
    pub(crate) fn step(
        &mut self,
        dt: f64,
        machine: &Capabilities,
        tuning: &Tuning,
        sample: &Sample,
        drawn: &Drawn,
    ) -> View {
        let around = Around {
            dt,
            felt: drawn.felt,
            relieved: drawn.relieved(),
        };
        self.note_all(listing::list(machine, tuning, sample));
        let weighed = self.weigh(around);
        let view = self.view(dt, &weighed);
        self.learn(&weighed, around);
        view
    }

    /// Enters what is listed. A processor's sensor that is listed no more stays, as one without a reading; another's
    /// is forgotten.
    fn note_all(&mut self, listed: Vec<Listed>) {
        self.tracks.retain(|name, (known, _)| {
            known.reading = None;
            known.absurd = false;
            known.role == Role::Processor || listed.iter().any(|listed| listed.name == *name)
        });
        for listed in listed {
            match self.tracks.get_mut(&listed.name) {
                Some((known, _)) => *known = listed,
                None => drop(self.tracks.insert(listed.name.clone(), (listed, Track::new()))),
            }
        }
    }

    /// The lowest critical temperature of all zones that have been seen, in °C: one that vanishes takes no limit with it.
    pub(crate) fn critical(&self) -> Option<f64> {
        let seen = self
            .tracks
            .values()
            .filter(|(listed, _)| listed.role == Role::Processor);
        let critical = seen.filter_map(|(listed, _)| listed.critical);
        critical
            .filter(|temp| *temp >= listing::LOWEST_CRITICAL)
            .reduce(f64::min)
    }

    fn weigh(&mut self, around: Around) -> Vec<Weighed> {
        let processor = self
            .tracks
            .iter_mut()
            .filter(|(_, (listed, _))| listed.role == Role::Processor);
        let weigh = |(name, (listed, track)): (&String, &mut (Listed, Track))| Weighed {
            name: name.clone(),
            temp: track.weigh(listed.reading, around),
            distrust: match listed.reading {
                Some(_) => track.distrust,
                None if listed.absurd => Some(Distrust::Absurd),
                None => Some(Distrust::Missing),
            },
        };
        processor.map(weigh).collect()
    }

    fn view(&mut self, dt: f64, weighed: &[Weighed]) -> View {
        let reference = hottest(weighed.iter().filter(|sensor| sensor.distrust.is_none()));
        let blind = (reference.is_none() && !weighed.is_empty()).then(|| self.blind(weighed));
        self.assumed = self.assume(dt, weighed, reference.as_ref().map(|(temp, _)| *temp));
        let lived = match blind {
            None => hottest(self.alive(weighed)).map(|(temp, _)| temp + self.offset(weighed)),
            Some(Blind::Lost | Blind::Doubted) => self.assumed,
            Some(Blind::Dead) => None,
        };
        View {
            assumed: self.assumed,
            hottest: reference.map(|(_, name)| name),
            lived,
            proof: self.proof(weighed),
            blind,
            stands: blind.is_none() && self.stands(weighed),
            other: self.other(),
            states: self
                .tracks
                .iter()
                .map(|(name, (listed, track))| state(name, listed, track))
                .collect(),
            warnings: self
                .tracks
                .values()
                .filter_map(|(listed, track)| warning(listed, track))
                .collect(),
        }
    }

    /// The hottest believed reading, and as much more as a doubted sensor used to be hotter; without any, what was
    /// assumed before.
    fn assume(&mut self, dt: f64, weighed: &[Weighed], reference: Option<f64>) -> Option<f64> {
        let doubted: Vec<&Weighed> = weighed
            .iter()
            .filter(|sensor| sensor.distrust.is_some())
            .collect();
        let more = doubted.len() > self.doubted.0;
        self.doubted = (doubted.len(), if more { 0.0 } else { self.doubted.1 + dt });
        let Some(reference) = reference else {
            return self
                .assumed
                .or(weighed.iter().filter_map(|sensor| sensor.temp).reduce(f64::max));
        };
        let assumed = reference + self.offset(weighed);
        let holds = !doubted.is_empty() && self.doubted.1 < DOUBT_HOLD;
        Some(
            self.assumed
                .filter(|_| holds)
                .map_or(assumed, |before| assumed.max(before)),
        )
    }

    /// How much hotter than those that are believed the processor may be, in K.
    fn offset(&self, weighed: &[Weighed]) -> f64 {
        let doubted = weighed.iter().filter(|sensor| sensor.distrust.is_some());
        let offsets = doubted.filter_map(|sensor| Some(self.tracks.get(&sensor.name)?.1.offset));
        offsets.fold(0.0, f64::max)
    }

    fn blind(&self, weighed: &[Weighed]) -> Blind {
        let was = |is: fn(&Weighed, &Track) -> bool| {
            let mut tracks = weighed
                .iter()
                .filter_map(|sensor| Some((sensor, &self.tracks.get(&sensor.name)?.1)));
            tracks.any(|(sensor, track)| is(sensor, track))
        };
        if was(|sensor, track| sensor.temp.is_none() && track.last.is_some()) {
            Blind::Lost
        } else if was(|_, track| track.moved) {
            Blind::Doubted
        } else {
            Blind::Dead
        }
    }

    fn stands(&self, weighed: &[Weighed]) -> bool {
        let mut believed = weighed.iter().filter(|sensor| sensor.distrust.is_none());
        believed.all(|sensor| {
            self.tracks
                .get(&sensor.name)
                .is_some_and(|(_, track)| track.wants_test())
        })
    }

    fn has_moved(&self, sensor: &Weighed) -> bool {
        self.tracks
            .get(&sensor.name)
            .is_some_and(|(_, track)| track.moved)
    }

    /// Those that are believed and have ever moved.
    fn alive<'a>(&'a self, weighed: &'a [Weighed]) -> impl Iterator<Item = &'a Weighed> {
        weighed
            .iter()
            .filter(|sensor| sensor.distrust.is_none() && self.has_moved(sensor))
    }

    /// Each against the critical temperature of its own zone. One without such stands in for those that have gone: a
    /// board's own limit is not the processor's, and a zone that never moved never cuts.
    fn proof(&self, weighed: &[Weighed]) -> Option<Proof> {
        let own = |sensor: &Weighed| self.tracks.get(&sensor.name)?.0.critical;
        let gone = weighed
            .iter()
            .filter(|sensor| sensor.distrust.is_some() && self.has_moved(sensor));
        let left = gone.filter_map(own).reduce(f64::min);
        let proofs = self.alive(weighed).filter_map(|sensor| {
            Some(Proof {
                name: sensor.name.clone(),
                reading: sensor.temp?,
                critical: own(sensor).or(left)?,
            })
        });
        let margin = |proof: &Proof| proof.critical - proof.reading;
        proofs.min_by(|one, other| margin(one).total_cmp(&margin(other)))
    }

    fn other(&self) -> Option<(f64, String)> {
        let over = |(name, (listed, track)): (&String, &(Listed, Track))| match listed.role {
            Role::Other(Some(limit)) => Some((listed.reading.or(track.last)? - limit, name.clone())),
            _ => None,
        };
        self.tracks
            .iter()
            .filter_map(over)
            .max_by(|one, other| one.0.total_cmp(&other.0))
    }

    fn learn(&mut self, weighed: &[Weighed], around: Around) {
        let alive: Vec<bool> = weighed
            .iter()
            .map(|sensor| sensor.distrust.is_none() && self.has_moved(sensor))
            .collect();
        for (name, (listed, track)) in &mut self.tracks {
            let others = || {
                weighed
                    .iter()
                    .zip(&alive)
                    .filter(|(sensor, _)| sensor.name != *name)
            };
            let believed = others().filter(|(sensor, _)| sensor.distrust.is_none());
            let living = others().filter(|(_, alive)| **alive);
            let beside = Beside {
                believed: hottest(believed.map(|(sensor, _)| sensor)).map(|(temp, _)| temp),
                living: hottest(living.map(|(sensor, _)| sensor)).map(|(temp, _)| temp),
            };
            if listed.role == Role::Processor {
                track.learn(listed, beside, around);
            } else {
                track.last = listed.reading.or(track.last);
            }
        }
    }
}

fn hottest<'a>(sensors: impl Iterator<Item = &'a Weighed>) -> Option<(f64, String)> {
    let readings = sensors.filter_map(|sensor| Some((sensor.temp?, &sensor.name)));
    let hottest = readings.max_by(|one, other| one.0.total_cmp(&other.0))?;
    Some((hottest.0, hottest.1.clone()))
}

fn distrust(listed: &Listed, track: &Track) -> Option<Distrust> {
    match (listed.role, listed.reading) {
        (Role::Ignored, _) => None,
        (_, None) if listed.absurd => Some(Distrust::Absurd),
        (_, None) => Some(Distrust::Missing),
        (Role::Processor, Some(reading)) if track.fell_too_fast(reading) => Some(Distrust::Absurd),
        (Role::Processor, Some(_)) => track.distrust,
        (Role::Other(_), Some(_)) => None,
    }
}

fn state(name: &str, listed: &Listed, track: &Track) -> SensorState {
    SensorState {
        name: name.into(),
        temp: listed
            .reading
            .map(|reading| MilliCelsius((reading * 1000.0) as i64)),
        distrust: distrust(listed, track),
        counts: listed.role == Role::Processor,
    }
}

fn warning(listed: &Listed, track: &Track) -> Option<Warning> {
    let reading = listed.reading.unwrap_or(0.0);
    let problem = match distrust(listed, track)? {
        Distrust::Missing => "tells no temperature".into(),
        Distrust::Absurd if listed.reading.is_some() => {
            format!("fell to {reading:.1} °C faster than anything cools")
        }
        Distrust::Absurd => "tells a temperature that nothing in a room has".into(),
        Distrust::Frozen => format!("has stood at {reading:.1} °C while power varied"),
        Distrust::Contradicted if listed.trips.iter().any(|trip| (trip - reading).abs() <= 0.5) => {
            format!("tells its limit of {reading:.1} °C as its temperature")
        }
        Distrust::Contradicted => {
            format!("tells {reading:.1} °C, and others on the same processor something very different")
        }
    };
    let consequence = if listed.role == Role::Processor {
        "; counted as hot"
    } else {
        ""
    };
    Some(Warning {
        path: listed.path.clone(),
        problem: format!("{} {problem}{consequence}", listed.name),
    })
}

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
use track::{Around, Track};

pub(crate) use listing::{celsius, critical};

/// Why the processor's temperature is not known although there are sensors for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blind {
    /// What was read has gone: something has broken.
    Lost,
    /// What is read has never been, or is no longer, worth believing.
    Doubted,
}

/// What the sensors come to.
#[derive(Clone, Debug, Default)]
pub(crate) struct View {
    /// The processor's temperature that is assumed, in °C; `None` on a machine without such a sensor.
    pub(crate) assumed: Option<f64>,
    /// The sensor that says so.
    pub(crate) hottest: Option<String>,
    /// The hottest reading of a sensor that is believed and has shown that it lives, in °C, and its name.
    pub(crate) proven: Option<(f64, String)>,
    /// Set while there are sensors of the processor and none is believed.
    pub(crate) blind: Option<Blind>,
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
    /// Whether one of the processor's has ever been believed.
    known: bool,
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
        let blind = reference.is_none() && !weighed.is_empty();
        self.known |= reference.is_some();
        let lost = self.known && weighed.iter().any(|sensor| sensor.temp.is_none());
        self.assumed = self.assume(dt, weighed, reference.as_ref().map(|(temp, _)| *temp));
        View {
            assumed: self.assumed,
            hottest: reference.map(|(_, name)| name),
            proven: self.proven(weighed),
            blind: blind.then_some(if lost { Blind::Lost } else { Blind::Doubted }),
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
        let offset = |sensor: &&Weighed| {
            self.tracks
                .get(&sensor.name)
                .map_or(0.0, |(_, track)| track.offset)
        };
        let assumed = reference + doubted.iter().map(offset).fold(0.0, f64::max);
        let holds = !doubted.is_empty() && self.doubted.1 < DOUBT_HOLD;
        Some(
            self.assumed
                .filter(|_| holds)
                .map_or(assumed, |before| assumed.max(before)),
        )
    }

    fn proven(&self, weighed: &[Weighed]) -> Option<(f64, String)> {
        let alive = |sensor: &&Weighed| {
            sensor.distrust.is_none()
                && self
                    .tracks
                    .get(&sensor.name)
                    .is_some_and(|(_, track)| track.moved)
        };
        hottest(weighed.iter().filter(alive))
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
        for (name, (listed, track)) in &mut self.tracks {
            let believed = weighed
                .iter()
                .filter(|sensor| sensor.distrust.is_none() && sensor.name != *name);
            let others = hottest(believed).map(|(temp, _)| temp);
            if listed.role == Role::Processor {
                track.learn(listed, others, around);
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
            format!("tells {reading:.1} °C, and others on the same processor much more")
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

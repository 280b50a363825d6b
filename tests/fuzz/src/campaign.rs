//! A number of executions of one parser.

use std::collections::HashSet;
use std::fmt;
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::noise::Noise;

/// What makes an input of another, and of all that there are.
type Change<'a> = dyn Fn(&[u8], &[Vec<u8>], &mut Noise) -> Vec<u8> + 'a;

/// A number of executions of one parser.
pub struct Campaign<'a> {
    /// What is tested.
    pub name: &'static str,
    /// The inputs to begin with, at least one.
    pub seeds: Vec<Vec<u8>>,
    /// How often the parser is run, beside once for each seed.
    pub executions: usize,
    /// What makes one input of others.
    pub change: &'a Change<'a>,
}

/// What a campaign came to.
#[derive(Clone, Debug)]
pub struct Report {
    /// What was tested.
    pub name: &'static str,
    /// How often the parser was run.
    pub executions: usize,
    /// Inputs that it began with, and their bytes.
    pub seeds: (usize, usize),
    /// How many different things the parser said.
    pub outcomes: usize,
    /// How many inputs it took.
    pub taken: usize,
    /// How long all of it took, and the longest execution.
    pub took: (Duration, Duration),
}

impl Campaign<'_> {
    /// Runs the parser. It says what it took as `Ok`, why it refused as `Err`; what it must not do, it panics at. The
    /// input of a panic is written to `folder`, and the panic goes on.
    pub fn run(&self, folder: &Path, parser: impl Fn(&[u8]) -> Result<String, String>) -> Report {
        let (start, mut noise) = (Instant::now(), Noise::new(self.seed()));
        let (mut inputs, mut outcomes) = (self.seeds.clone(), HashSet::new());
        let (mut taken, mut longest) = (0, Duration::ZERO);
        for execution in 0..self.seeds.len() + self.executions {
            let input = match self.seeds.get(execution) {
                Some(seed) => seed.clone(),
                // Half of them of seeds: most that came since are broken early, and hide what lies behind.
                None => {
                    let among = if noise.once_in(2) {
                        self.seeds.len()
                    } else {
                        inputs.len()
                    };
                    (self.change)(&inputs[noise.below(among)], &inputs, &mut noise)
                }
            };
            let began = Instant::now();
            let said = self.once(folder, execution, &input, &parser);
            longest = longest.max(began.elapsed());
            taken += usize::from(said.is_ok());
            let is_new = outcomes.insert(said.map_or_else(|reason| plain(&reason), |what| plain(&what)));
            if is_new && execution >= self.seeds.len() {
                inputs.push(input);
            }
        }
        Report {
            name: self.name,
            executions: self.seeds.len() + self.executions,
            seeds: (self.seeds.len(), self.seeds.iter().map(Vec::len).sum()),
            outcomes: outcomes.len(),
            taken,
            took: (start.elapsed(), longest),
        }
    }

    /// Another for each parser, the same each time.
    fn seed(&self) -> u64 {
        self.name
            .bytes()
            .fold(7, |seed, byte| seed.wrapping_mul(31).wrapping_add(byte.into()))
    }

    fn once(
        &self,
        folder: &Path,
        execution: usize,
        input: &[u8],
        parser: impl Fn(&[u8]) -> Result<String, String>,
    ) -> Result<String, String> {
        catch_unwind(AssertUnwindSafe(|| parser(input))).unwrap_or_else(|panic| {
            let path = folder.join(format!("{}-{execution}", self.name));
            match std::fs::write(&path, input) {
                Ok(()) => eprintln!("execution {execution} of {}: {}", self.name, path.display()),
                Err(error) => eprintln!("execution {execution} of {}: {error}: {input:?}", self.name),
            }
            std::panic::resume_unwind(panic)
        })
    }
}

impl Report {
    /// Prints the figures, past what captures the output of tests.
    pub fn show(&self) {
        // Nobody is there to be told that nothing can be told.
        let _closed = writeln!(io::stderr(), "{self}");
    }
}

/// What was said, without what differs from input to input: numbers, and what stands in quotes.
fn plain(said: &str) -> String {
    let mut plain = String::new();
    for (index, part) in said.split('`').enumerate() {
        if index % 2 == 0 {
            plain.extend(part.chars().filter(|c| !c.is_ascii_digit()).take(200));
        } else {
            plain.push('`');
        }
    }
    plain
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (took, longest) = self.took;
        write!(
            f,
            "{:<12} {:>7} executions of {:>3} seeds ({:>6} bytes) in {:>5.1} s, the longest {:>6.1} ms: {:>4} outcomes, \
             {:>6} taken",
            self.name,
            self.executions,
            self.seeds.0,
            self.seeds.1,
            took.as_secs_f64(),
            longest.as_secs_f64() * 1e3,
            self.outcomes,
            self.taken
        )
    }
}

//! The questions that are asked everywhere.

/// One question in two wordings.
#[derive(Clone, Copy, Debug)]
pub struct Question {
    /// What it is about, for tables.
    pub about: &'static str,
    /// The wordings.
    pub wordings: [&'static str; 2],
    /// What a right answer to either has in it, if there is such a word.
    pub says: Option<&'static str>,
}

/// All of them. The first is the one of the quick tests.
pub const QUESTIONS: [Question; 5] = [
    Question {
        about: "France",
        wordings: [
            "Name the capital of France.",
            "What is the name of the capital of France?",
        ],
        says: Some("Paris"),
    },
    Question {
        about: "sum",
        wordings: ["How much is 2 + 2?", "Add 2 and 2. What do you get?"],
        says: Some("4"),
    },
    Question {
        about: "sky",
        wordings: ["Why is the sky blue?", "What makes the daytime sky look blue?"],
        says: None,
    },
    Question {
        about: "Shakespeare",
        wordings: [
            "Who wrote Romeo and Juliet?",
            "Which author wrote the play Romeo and Juliet?",
        ],
        says: Some("Shakespeare"),
    },
    Question {
        about: "greeting",
        wordings: [
            "Write one sentence that greets a neighbour.",
            "Greet a neighbour in a single sentence.",
        ],
        says: None,
    },
];

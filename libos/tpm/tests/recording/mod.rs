//! Exchanges that were recorded with swtpm, as text.
#![allow(dead_code, reason = "not each test program needs all of it")]

use cloison_tpm::{Command, Error};

/// Exchanges with a TPM, in order.
pub struct Recording(pub Vec<Exchange>);

/// A command and its answer, under a name.
pub struct Exchange {
    pub name: String,
    pub command: Vec<u8>,
    pub response: Vec<u8>,
}

impl Recording {
    /// Of the text that the recorder writes.
    pub fn read(text: &str) -> Self {
        let lines: Vec<&str> = text.lines().collect();
        Self(lines.chunks(3).map(Exchange::read).collect())
    }

    /// The answer that was recorded under a name.
    pub fn response(&self, name: &str) -> &[u8] {
        &self.0.iter().find(|exchange| exchange.name == name).expect("an exchange of this name").response
    }

    /// What `command` makes of the answer recorded under `name`, after a look that it was the command sent.
    pub fn parse<'a, C: Command>(&'a self, name: &str, command: &C) -> Result<C::Response<'a>, Error> {
        let exchange =
            self.0.iter().find(|exchange| exchange.name == name).expect("an exchange of this name");
        let mut buffer = [0; 1024];
        assert_eq!(command.write(&mut buffer), Ok(&*exchange.command), "{name}");
        command.parse(&exchange.response)
    }
}

impl Exchange {
    fn read(lines: &[&str]) -> Self {
        let [name, command, response] = lines else { panic!("three lines for each exchange") };
        Self {
            name: name.strip_prefix("# ").expect("a name").to_owned(),
            command: unhex(command.strip_prefix("> ").expect("a command")),
            response: unhex(response.strip_prefix("< ").expect("a response")),
        }
    }
}

fn unhex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).expect("text"));
    digits.map(|digits| u8::from_str_radix(digits, 16).expect("hexadecimal digits")).collect()
}

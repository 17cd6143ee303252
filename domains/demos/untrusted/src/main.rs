//! Records all that it can get hold of: what is typed to it.

#![no_std]
#![no_main]

use cloison_rt::{log, task};
use netshell::{Line, Lines, Terminal};

cloison_rt::entry!(main);

fn main() -> Result<(), &'static str> {
    let keyboard = Terminal::find().ok_or("the plan gives the spy no terminal")?;
    log!("recording what is typed");
    task::block_on(async {
        let mut lines = Lines::new(keyboard);
        while let Ok(Some(line)) = lines.next().await {
            match line {
                Line::Text("") => {}
                Line::Text(text) => log!("recorded: {text}"),
                Line::TooLong | Line::NotText => log!("recorded something"),
            }
        }
    });
    Ok(())
}

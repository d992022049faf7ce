//! A program that does not outlive its test.

use std::io;
use std::ops::{Deref, DerefMut};
use std::process::{Child, Command};

/// A running program, killed and waited for when dropped.
#[derive(Debug)]
pub struct Program(Child);

impl Program {
    /// Starts it.
    ///
    /// # Errors
    /// Those of starting it; they name the program.
    pub fn start(command: &mut Command) -> io::Result<Self> {
        let name = command.get_program().display().to_string();
        let told = |error: io::Error| io::Error::new(error.kind(), format!("{name}: {error}"));
        command.spawn().map(Self).map_err(told)
    }
}

impl Deref for Program {
    type Target = Child;

    fn deref(&self) -> &Child {
        &self.0
    }
}

impl DerefMut for Program {
    fn deref_mut(&mut self) -> &mut Child {
        &mut self.0
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Both fail only where it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

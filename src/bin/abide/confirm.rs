//! Questions before a command that cannot be undone.

use std::io::{BufRead, IsTerminal, Write};

use crate::exit::{Exit, Failure, Result};

/// Asks for confirmation, and fails without it. Without a terminal, the error names the `consequence`.
pub(crate) fn confirm(question: &str, consequence: &str) -> Result {
    let refused = |message: &str| Failure::new(Exit::Usage, "NotConfirmed", message);
    if !std::io::stdin().is_terminal() {
        return Err(refused(consequence).advise("pass --yes to confirm").into());
    }
    let mut stderr = std::io::stderr();
    let _ = write!(stderr, "{question} [y/N] ");
    let _ = stderr.flush();
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer);
    match read {
        Ok(_) if matches!(answer.trim(), "y" | "Y" | "yes") => Ok(()),
        _ => Err(refused("nothing was changed").into()),
    }
}

//! How a program that serves many calls ended, in words, and as the fault of those that were under way.

use crate::code::FunctionCode;
use crate::unit::Exit;
use hob_core::code::Code;
use hob_core::fault::Fault;

/// The end as a sentence says it of the program.
pub(super) fn describe(exit: &Exit) -> String {
    match exit {
        Exit::Code(code) => format!("ended with exit code {code}"),
        Exit::Signal(signal) => format!("was ended by signal {signal}"),
        Exit::MemoryLimit => "was ended because it needed more memory than it may have".to_owned(),
        Exit::Deadline => "was ended at its deadline".to_owned(),
        Exit::Trap(trap) => format!("trapped: {trap}"),
    }
}

/// `HOB-0502`, or `HOB-0505` for want of memory: the program is gone.
pub(super) fn crash(code: &FunctionCode, exit: &Exit) -> Fault {
    let kind = if *exit == Exit::MemoryLimit { Code::MemoryLimit } else { Code::Crashed };
    Fault::new(kind, format!("`{}` {}", code.name, describe(exit)))
        .hint(format!("see `hob logs {}/{}`", code.app, code.name))
}

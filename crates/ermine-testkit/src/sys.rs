//! The few calls to the system that std does not offer; the only unsafe code of the workspace.
#![allow(
    unsafe_code,
    reason = "process groups, death signals and an entry before main have no safe form in std"
)]

use std::{
    io,
    os::unix::process::CommandExt,
    process::{Child, Command},
    sync::{
        OnceLock,
        mpsc::{Sender, channel},
    },
    thread,
};

/// Runs [`crate::pg::supervisor::enter`] in every process that links this crate, before its `main`.
#[used]
#[cfg_attr(target_os = "linux", unsafe(link_section = ".init_array"))]
#[cfg_attr(target_os = "macos", unsafe(link_section = "__DATA,__mod_init_func"))]
static ENTRY: extern "C" fn() = {
    extern "C" fn entry() {
        crate::pg::supervisor::enter();
    }
    entry
};

/// Keeps the linker from leaving the entry out: it drops object files that nothing refers to.
pub(crate) fn keep_entry() {
    std::hint::black_box(&ENTRY);
}

/// The user this process runs as.
pub(crate) fn effective_uid() -> u32 {
    // SAFETY: the call cannot fail and touches no memory.
    unsafe { libc::geteuid() }
}

/// Gives the command a session of its own, so that neither Ctrl-C nor the death of the caller's group reaches it.
pub(crate) fn in_own_session(command: &mut Command) {
    // SAFETY: setsid is async-signal-safe and the closure allocates nothing.
    unsafe {
        command.pre_exec(|| match libc::setsid() {
            -1 => Err(io::Error::last_os_error()),
            _ => Ok(()),
        });
    }
}

/// Has the kernel send the command `SIGQUIT` (PostgreSQL: stop at once) when the *thread* that starts it ends.
///
/// Outside Linux there is no such signal: a server there outlives a test process that was killed.
pub(crate) fn dies_with_parent(command: &mut Command) {
    #[cfg(target_os = "linux")]
    {
        let parent = id_of(std::process::id());
        // SAFETY: prctl and getppid are async-signal-safe and the closure allocates nothing. It runs after the change
        // of user, which would undo it.
        unsafe {
            command.pre_exec(move || {
                if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGQUIT) == -1 {
                    return Err(io::Error::last_os_error());
                }
                // The parent may have died before the line above: then no signal will ever come.
                if libc::getppid() == parent { Ok(()) } else { Err(io::ErrorKind::BrokenPipe.into()) }
            });
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = command;
}

/// Starts the command from a thread that lives as long as this process.
///
/// The death signal of [`dies_with_parent`] follows the starting thread, and a test's own thread, or one that tokio
/// lends, ends long before the process does.
pub(crate) fn spawn_for_life(command: Command) -> io::Result<Child> {
    type Order = (Command, Sender<io::Result<Child>>);
    static STARTER: OnceLock<Sender<Order>> = OnceLock::new();
    let starter = STARTER.get_or_init(|| {
        let (sender, orders) = channel::<Order>();
        thread::spawn(move || {
            for (mut command, reply) in orders {
                // A caller that has gone away leaves the server to the death signal.
                let _ = reply.send(command.spawn());
            }
        });
        sender
    });
    let (reply, answer) = channel();
    starter.send((command, reply)).expect("the starter thread never ends");
    answer.recv().expect("the starter thread answers every order")
}

/// A signal that tests send.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Signal {
    /// PostgreSQL: roll back, disconnect, checkpoint, exit.
    Interrupt,
    /// PostgreSQL: exit at once and recover at the next start.
    Quit,
    /// No process sees this coming.
    Kill,
}

/// Sends `signal` to the process `pid`.
pub(crate) fn send(pid: i32, signal: Signal) -> io::Result<()> {
    assert!(pid > 1, "{pid} names a group of processes, not one");
    let number = match signal {
        Signal::Interrupt => libc::SIGINT,
        Signal::Quit => libc::SIGQUIT,
        Signal::Kill => libc::SIGKILL,
    };
    // SAFETY: the call touches no memory.
    match unsafe { libc::kill(pid, number) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Whether a process with this id exists.
pub(crate) fn is_running(pid: i32) -> bool {
    // SAFETY: signal 0 is only a question, and the call touches no memory.
    let answer = unsafe { libc::kill(pid, 0) };
    answer == 0 || io::Error::last_os_error().raw_os_error() != Some(libc::ESRCH)
}

/// A process id as the system calls take it.
pub(crate) fn id_of(pid: u32) -> i32 {
    i32::try_from(pid).expect("process ids are positive 32-bit numbers")
}

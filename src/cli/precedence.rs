//! Options that exclude each other: one on the command line outweighs another's
//! environment variable.

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, Command, Error, FromArgMatches};

/// Options of which not all can be meant.
pub(super) trait Exclusive_: Sized {
    /// As they are parsed.
    type Options: Args;

    /// What is meant. `typed` says whether an option stands on the command line.
    ///
    /// # Errors
    /// What can't be meant.
    fn of(options: Self::Options, typed: &dyn Fn(&str) -> bool) -> Result<Self, &'static str>;
}

/// What is meant by such options.
#[derive(Clone, Debug)]
pub(super) struct Exclusive<T>(pub(super) T);

impl<T: Exclusive_> FromArgMatches for Exclusive<T> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let typed = |id: &str| matches.value_source(id) == Some(ValueSource::CommandLine);
        T::of(T::Options::from_arg_matches(matches)?, &typed)
            .map(Self)
            .map_err(|why| Error::raw(ErrorKind::ArgumentConflict, format!("{why}\n")))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl<T: Exclusive_> Args for Exclusive<T> {
    fn augment_args(command: Command) -> Command {
        T::Options::augment_args(command)
    }

    fn augment_args_for_update(command: Command) -> Command {
        T::Options::augment_args_for_update(command)
    }
}

//! Mutually exclusive options, where one on the command line takes precedence over the
//! environment variable of another.

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, Command, Error, FromArgMatches};

/// A value of mutually exclusive options.
pub(super) trait ExclusiveOptions: Sized {
    /// The options, as clap parses them.
    type Options: Args;

    /// Selects the value. `on_command_line` says whether an option was typed.
    ///
    /// # Errors
    /// Which options can't be combined.
    fn select(
        options: Self::Options,
        on_command_line: &dyn Fn(&str) -> bool,
    ) -> Result<Self, &'static str>;
}

/// The selected value.
#[derive(Clone, Debug)]
pub(super) struct Exclusive<T>(pub(super) T);

impl<T: ExclusiveOptions> FromArgMatches for Exclusive<T> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let on_command_line = |id: &str| matches.value_source(id) == Some(ValueSource::CommandLine);
        T::select(T::Options::from_arg_matches(matches)?, &on_command_line)
            .map(Self)
            .map_err(|conflict| Error::raw(ErrorKind::ArgumentConflict, conflict))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl<T: ExclusiveOptions> Args for Exclusive<T> {
    fn augment_args(command: Command) -> Command {
        T::Options::augment_args(command)
    }

    fn augment_args_for_update(command: Command) -> Command {
        T::Options::augment_args_for_update(command)
    }
}

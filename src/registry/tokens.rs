//! Tokens and passwords: one for each repository, obtained once however many requests want it.

use std::collections::HashMap;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use skopeo_index_core::machine::EffectError;

use crate::os::lock;

/// A token is not used in its last seconds: it might expire on the way.
const MARGIN: Duration = Duration::from_secs(5);

/// What a token is for: the registry's base URL and the repository. The credentials follow
/// from these.
pub(super) type Scope = (String, String);

/// The tokens of a run.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    states: Mutex<HashMap<Scope, State>>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Whether a request for a token is under way.
    requested: bool,
    /// The number of requests that have ended.
    ended: u64,
    /// The result of the last one.
    result: Option<Result<Token, EffectError>>,
}

/// Value of the header `Authorization`, and its end.
#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) authorization: String,
    pub(super) expires: Instant,
}

impl State {
    /// The header's value, if a token is known and has not expired.
    fn authorization(&self) -> Option<&str> {
        let token = self.result.as_ref()?.as_ref().ok()?;
        (token.expires > Instant::now() + MARGIN).then_some(&token.authorization)
    }
}

impl Tokens {
    /// The header's value for a scope, if its token is known and has not expired.
    pub(super) fn known(&self, scope: &Scope) -> Option<String> {
        let states = lock(&self.states);
        states.get(scope)?.authorization().map(str::to_owned)
    }

    /// The header's value for a scope: another one than `refused`. `request` asks for it;
    /// concurrent callers share its result, also a failure, and wait until it ends by its
    /// timeout or by cancellation.
    pub(super) fn get(
        &self,
        scope: &Scope,
        refused: Option<&str>,
        request: impl FnOnce() -> Result<Token, EffectError>,
    ) -> Result<String, EffectError> {
        let mut states = lock(&self.states);
        let begun = states.entry(scope.clone()).or_default().ended;
        loop {
            let state = states.entry(scope.clone()).or_default();
            let known = state.authorization();
            if let Some(authorization) = known.filter(|known| Some(*known) != refused) {
                return Ok(authorization.to_owned());
            }
            if let Some(Err(failure)) = &state.result
                && state.ended > begun
            {
                return Err(failure.clone());
            }
            if !state.requested {
                state.requested = true;
                break;
            }
            let waited = self.changed.wait(states);
            states = waited.unwrap_or_else(PoisonError::into_inner);
        }
        drop(states);
        let result = request();
        let mut states = lock(&self.states);
        let state = states.entry(scope.clone()).or_default();
        state.requested = false;
        state.ended += 1;
        state.result = Some(result.clone());
        self.changed.notify_all();
        result.map(|token| token.authorization)
    }
}

//! Tokens and passwords: one for each repository, obtained once however many requests want it.

use std::collections::HashMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use skopeo_index_core::machine::EffectError;

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
    token: Option<Token>,
    /// Whether a request for a token is under way.
    requested: bool,
    /// The number of requests that have ended.
    ended: u64,
    /// How the last one failed.
    failure: Option<EffectError>,
}

/// Value of the header `Authorization`, and its end.
#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) authorization: String,
    pub(super) expires: Instant,
}

impl Token {
    fn is_valid(&self) -> bool {
        self.expires > Instant::now() + MARGIN
    }
}

impl Tokens {
    /// The header's value for a scope, if its token is known and has not expired.
    pub(super) fn known(&self, scope: &Scope) -> Option<String> {
        let states = self.states();
        let token = states.get(scope)?.token.as_ref()?;
        token.is_valid().then(|| token.authorization.clone())
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
        let mut states = self.states();
        let begun = states.entry(scope.clone()).or_default().ended;
        loop {
            let state = states.entry(scope.clone()).or_default();
            let token = state.token.as_ref().filter(|token| token.is_valid());
            if let Some(Token { authorization, .. }) = token
                && Some(authorization.as_str()) != refused
            {
                return Ok(authorization.clone());
            }
            if state.ended > begun
                && let Some(failure) = &state.failure
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
        let mut states = self.states();
        let state = states.entry(scope.clone()).or_default();
        state.requested = false;
        state.ended += 1;
        state.failure = result.as_ref().err().cloned();
        state.token = result.as_ref().ok().cloned();
        self.changed.notify_all();
        result.map(|token| token.authorization)
    }

    fn states(&self) -> MutexGuard<'_, HashMap<Scope, State>> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

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
    /// concurrent callers share its result, also a failure. `None` where another caller's
    /// request has not ended at `until`.
    pub(super) fn get(
        &self,
        scope: &Scope,
        refused: Option<&str>,
        until: Instant,
        request: impl FnOnce() -> Result<Token, EffectError>,
    ) -> Option<Result<String, EffectError>> {
        let mut states = lock(&self.states);
        let begun = states.entry(scope.clone()).or_default().ended;
        loop {
            let state = states.entry(scope.clone()).or_default();
            let known = state.authorization();
            if let Some(authorization) = known.filter(|known| Some(*known) != refused) {
                return Some(Ok(authorization.to_owned()));
            }
            if let Some(Err(failure)) = &state.result
                && state.ended > begun
            {
                return Some(Err(failure.clone()));
            }
            if !state.requested {
                state.requested = true;
                break;
            }
            let left = until.checked_duration_since(Instant::now())?;
            let waited = self.changed.wait_timeout(states, left);
            states = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        drop(states);
        let result = request();
        let mut states = lock(&self.states);
        let state = states.entry(scope.clone()).or_default();
        state.requested = false;
        state.ended += 1;
        state.result = Some(result.clone());
        self.changed.notify_all();
        Some(result.map(|token| token.authorization))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;
    use std::time::{Duration, Instant};

    use skopeo_index_core::machine::EffectError;

    use super::{Token, Tokens};

    #[test]
    fn caller_whose_time_ends_leaves_while_the_request_of_another_goes_on() {
        let tokens = Tokens::default();
        let scope = ("https://localhost".to_owned(), "app".to_owned());
        let far = Instant::now() + Duration::from_secs(3600);
        let get = |until, request: &dyn Fn() -> Result<Token, EffectError>| {
            tokens.get(&scope, None, until, request)
        };
        let (begin, begun) = mpsc::channel();
        let (end, ended) = mpsc::channel();
        let (begin, ended) = (&begin, std::sync::Mutex::new(ended));
        thread::scope(|threads| {
            let other = threads.spawn(|| {
                get(far, &|| {
                    begin.send(()).expect("a receiver");
                    ended.lock().expect("no panic").recv().expect("a sender");
                    Ok(Token {
                        authorization: "Bearer t0ken".to_owned(),
                        expires: far,
                    })
                })
            });
            begun.recv().expect("the other request");
            let request = || unreachable!("one request at a time");
            assert_eq!(get(Instant::now(), &request), None);
            end.send(()).expect("a receiver");
            let token = Some(Ok("Bearer t0ken".to_owned()));
            assert_eq!(other.join().expect("no panic"), token);
            assert_eq!(get(Instant::now(), &request), token);
        });
    }
}

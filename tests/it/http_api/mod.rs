//! The management API, as described in docs/src/http.md: every route, every status code and the documents.
//!
//! The router runs in memory, without a socket. The features and their tests:
//!
//! * `POST /orchestrators/{name}[/{instanceId}]`: all of [`starting`]
//! * `timeout`, `pollingInterval`: `a_start_can_wait`, `a_start_that_cannot_succeed_is_refused`
//! * check-status payload, `Location`, `Retry-After`: `a_start_answers_with_links`,
//!   `links_carry_what_the_request_carried`, `links_lead_back_to_where_the_client_is`
//! * `GET /instances/{id}`: all of [`looking`]
//! * status document, history events: `documents_are_pinned`, `histories_are_pinned`, `a_history_shows_open_steps`
//! * `GET /instances`, continuation tokens: `instances_are_filtered`, `lists_and_single_documents_agree`,
//!   `tokens_lead_from_page_to_page`
//! * `DELETE /instances/{id}`, `DELETE /instances`: `an_orchestration_is_purged`, `orchestrations_are_purged`
//! * `POST …/raiseEvent/{eventName}`: `an_event_is_raised`, `an_event_is_raised_once`
//! * `POST …/terminate`, `/suspend`, `/resume`: `commands_are_accepted_until_the_end`,
//!   `the_status_code_shows_whether_it_has_ended`
//! * `POST …/rewind`: `a_failed_orchestration_is_rewound`
//! * `POST …/restart`: `an_orchestration_is_restarted`
//! * `GET /entities/{name}/{key}`: `a_state_is_shown`
//! * `POST /entities/{name}/{key}`: `an_operation_takes_json_or_text`, `a_signal_that_cannot_succeed_is_refused`
//! * `DELETE /entities/{name}/{key}`: `an_entity_is_deleted`
//! * `GET /entities[/{name}]`: `entities_are_listed`
//! * `taskHub`, `connection`, `code`; `version`; trailing slash: `links_carry_what_the_request_carried`,
//!   `a_start_chooses_a_version`, `instances_are_filtered`, `the_router_can_be_mounted`
//! * `traceparent`, `tracestate`: `a_start_continues_the_trace_of_its_caller`, and
//!   `the_span_of_an_orchestration_names_its_trace` in `tests/observability.rs`
//! * `ExceptionMessage`, `null` as input, times in queries: `a_start_that_cannot_succeed_is_refused`,
//!   `the_input_is_json_or_nothing`, `instances_are_filtered`
//! * 404, 405, 413, 415, 503, the error format: all of [`routing`], `health_reports_whether_the_hub_works`,
//!   `answers_are_as_described`
//! * `wait=true`: `a_call_answers_with_the_result`
//! * counts: `everything_is_counted`
//! * `Idempotency-Key`: `an_idempotency_key_makes_a_retry_one_start`, `an_event_is_raised_once`,
//!   `a_retry_takes_effect_once`
//! * stopped, locks, dead letters, quarantine: all of [`repairing`]
//! * names and IDs, omitted keys: all of [`names`]
//! * schedules: all of [`scheduling`]
//! * `/health`, `/metrics`: `health_reports_whether_the_hub_works`, `numbers_are_shown`
//! * `/openapi.json`: all of [`openapi`]
//! * `/events`, `/batches`, `/hub`, a restart with another input, tags, histories by turns: all of [`watching`]
//! * payloads of Azure's Python client: `payloads_of_the_python_client_are_decoded_once_more`

mod entities;
mod fixture;
mod hub;
mod listing;
mod looking;
mod managing;
mod names;
mod openapi;
mod repairing;
mod routing;
mod scheduling;
mod starting;
mod watching;

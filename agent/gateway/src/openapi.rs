//! The document of the management interface, OpenAPI 3.1. Handlers describe themselves; what holds for all of them is
//! added here: who may, which refusals any of them may give, and what the whole is.

use crate::{caller::name, refusal::Kind, sessions::COOKIE};
use api::rest::{Problem, Role};
use axum::http::StatusCode;
use std::collections::BTreeMap;
use utoipa::{
    IntoResponses, OpenApi,
    openapi::{
        ContentBuilder, Object, Ref, RefOr, Required, Response, ResponseBuilder, Responses,
        SecurityRequirement,
        path::{HttpMethod, Operation, ParameterBuilder, ParameterIn, PathItem},
        schema::Type,
        security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};

/// What comes before the operations.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Hearth",
        version = env!("CARGO_PKG_VERSION"),
        description = "The management interface of a Hearth appliance. Readings that were not taken or cannot be believed \
            are `null`, never 0. Units are the kernel's where a field has a kernel's name: kHz, thousandths of a degree \
            Celsius, bytes, microseconds."
    ),
    components(schemas(Problem))
)]
struct Frame;

/// A document without operations.
pub(crate) fn frame() -> utoipa::openapi::OpenApi {
    let mut document = Frame::openapi();
    let components = document.components.get_or_insert_default();
    let token = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("A token, as \"hearth token new\" makes them."));
    components.add_security_scheme("token", SecurityScheme::Http(token.build()));
    let cookie = ApiKeyValue::with_description(
        COOKIE,
        "A session, as POST /api/v1/session begins them. What changes something must also carry X-Hearth-Request: 1 and \
         come from a page of this host.",
    );
    components.add_security_scheme("session", SecurityScheme::ApiKey(ApiKey::Cookie(cookie)));
    document
}

/// Adds to each operation what holds for all behind a gate; `None`: anybody may.
pub(crate) fn complete(document: &mut utoipa::openapi::OpenApi, role: Option<Role>) {
    for (path, item) in &mut document.paths.paths {
        for (method, operation) in operations(item) {
            operation.operation_id = Some(id(&method, path));
            refuse(
                &mut operation.responses,
                &common(path, operation.request_body.is_some()),
            );
            match role {
                Some(role) => gate(operation, role),
                None => refuse(&mut operation.responses, &[Kind::TooOften]),
            }
            if operation.responses.responses.contains_key("412") {
                conditional(operation);
            }
            if role.is_some() && method == HttpMethod::Post && !path.ends_with("/tokens") {
                keyed(operation);
            }
        }
    }
}

/// What is begun may be sent again.
fn keyed(operation: &mut Operation) {
    let text =
        "A request that is sent again with it within an hour is answered as before, and not done again.";
    header(operation, "Idempotency-Key", text);
    let kinds = [
        Kind::Invalid,
        Kind::BodyTimeout,
        Kind::Conflict,
        Kind::TooLarge,
        Kind::Unacceptable,
    ];
    refuse(&mut operation.responses, &kinds);
}

/// What is changed may be meant as it was read.
fn conditional(operation: &mut Operation) {
    let text =
        "The ETag of what is changed, in its quotes: where it is not any more what it was, nothing is done.";
    header(operation, "If-Match", text);
}

fn header(operation: &mut Operation, name: &str, text: &str) {
    let header = ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(text))
        .schema(Some(Object::with_type(Type::String)));
    operation
        .parameters
        .get_or_insert_default()
        .push(header.build().into());
}

fn gate(operation: &mut Operation, role: Role) {
    let none: [&str; 0] = [];
    operation.security = Some(vec![
        SecurityRequirement::new("token", none),
        SecurityRequirement::new("session", none),
    ]);
    let needs = format!("Needs the role `{}`.", name(role));
    let text = match operation.description.take() {
        Some(text) if !text.is_empty() => format!("{text}\n\n{needs}"),
        _ => needs,
    };
    operation.description = Some(text);
    refuse(
        &mut operation.responses,
        &[
            Kind::Unauthenticated,
            Kind::Forbidden,
            Kind::CrossSite,
            Kind::TooMany,
            Kind::TooOften,
        ],
    );
}

/// What may be refused wherever a path has a part to fill in, or a request a body.
fn common(path: &str, has_body: bool) -> Vec<Kind> {
    let mut kinds = vec![Kind::Internal];
    if path.contains('{') {
        kinds.extend([Kind::Invalid, Kind::NotFound]);
    }
    if has_body {
        kinds.extend([
            Kind::Invalid,
            Kind::BodyTimeout,
            Kind::TooLarge,
            Kind::Unacceptable,
        ]);
    }
    kinds
}

/// Says that a request may be refused so, unless it is said already what this status means.
fn refuse(responses: &mut Responses, kinds: &[Kind]) {
    for (status, response) in refusals(kinds) {
        responses.responses.entry(status).or_insert(response);
    }
}

/// Refusals as a document has them: by their status.
pub(crate) fn refusals(kinds: &[Kind]) -> BTreeMap<String, RefOr<Response>> {
    let mut titles = BTreeMap::<StatusCode, Vec<&str>>::new();
    for kind in kinds {
        let said = titles.entry(kind.status()).or_default();
        if !said.contains(&kind.title()) {
            said.push(kind.title());
        }
    }
    let described = |(status, said): (StatusCode, Vec<&str>)| {
        let content = ContentBuilder::new()
            .schema(Some(Ref::from_schema_name("Problem")))
            .build();
        let response = ResponseBuilder::new()
            .description(said.join("; "))
            .content("application/problem+json", content);
        (status.as_str().to_owned(), response.build().into())
    };
    titles.into_iter().map(described).collect()
}

macro_rules! groups {
    ($($(#[$doc:meta])* $name:ident: $($kind:ident),+;)*) => {$(
        $(#[$doc])*
        pub(crate) struct $name;

        impl IntoResponses for $name {
            fn responses() -> BTreeMap<String, RefOr<Response>> {
                refusals(&[$(Kind::$kind),+])
            }
        }
    )*};
}

groups! {
    /// Of whatever is asked of hearthd.
    OfAgent: AgentFailed, AgentUnavailable;
    /// Of whatever is asked of the engine.
    OfEngine: EngineLost, EngineUnavailable, EngineHeld, TooHot, EngineTimeout;
    /// Of whatever is asked of the import service.
    OfImport: ImportLost, ImportUnavailable;
    /// Of whatever is asked of hearth-setup.
    OfSetup: SetupLost, SetupUnavailable;
    /// What is done on the state alone that the client knows.
    OfCondition: Changed, Invalid;
    /// What the query may be wrong in.
    OfQuery: Invalid;
    /// What cannot be done in every state.
    OfState: Conflict;
    /// What needs room on the disk.
    OfRoom: NoSpace;
    /// What is done by TLS alone, and by our own page.
    OfDoor: Unencrypted, CrossSite;
    /// What may be guessed.
    OfGuess: Unauthenticated, TooMany;
    /// What may concern something that is not there.
    OfAbsence: NotFound;
}

/// The operations of a path.
fn operations(item: &mut PathItem) -> impl Iterator<Item = (HttpMethod, &mut Operation)> {
    let all = [
        (HttpMethod::Get, &mut item.get),
        (HttpMethod::Put, &mut item.put),
        (HttpMethod::Post, &mut item.post),
        (HttpMethod::Delete, &mut item.delete),
        (HttpMethod::Head, &mut item.head),
        (HttpMethod::Patch, &mut item.patch),
    ];
    all.into_iter()
        .filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}

/// What clients that are made from the document call an operation: `put_models_name` for `PUT /api/v1/models/{name}`.
fn id(method: &HttpMethod, path: &str) -> String {
    let method = match method {
        HttpMethod::Get => "get",
        HttpMethod::Put => "put",
        HttpMethod::Post => "post",
        HttpMethod::Delete => "delete",
        HttpMethod::Patch => "patch",
        HttpMethod::Head => "head",
        HttpMethod::Options => "options",
        HttpMethod::Trace => "trace",
    };
    let path = path.trim_start_matches("/api/v1").trim_start_matches('/');
    let words = path.split(|c: char| !c.is_ascii_alphanumeric());
    words
        .filter(|word| !word.is_empty())
        .fold(method.to_owned(), |id, word| format!("{id}_{word}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_called_after_their_method_and_path() {
        for (method, path, expected) in [
            (HttpMethod::Get, "/api/v1/status", "get_status"),
            (HttpMethod::Put, "/api/v1/models/{name}", "put_models_name"),
            (HttpMethod::Get, "/ca.crt", "get_ca_crt"),
        ] {
            assert_eq!(id(&method, path), expected);
        }
    }

    #[test]
    fn refusals_of_one_status_are_told_together() {
        let found = refusals(&[Kind::AgentUnavailable, Kind::ImportUnavailable, Kind::NotFound]);
        let described = |status: &str| match &found[status] {
            RefOr::T(response) => response.description.clone(),
            RefOr::Ref(_) => String::new(),
        };
        assert_eq!(found.len(), 2);
        assert_eq!(described("503"), "No agent; No import service");
    }
}

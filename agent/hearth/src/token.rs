//! `hearth token`.

use crate::{
    cli::{RoleName, TokenCommand},
    client::Client,
    screen::{self, WARN, line},
};
use api::rest::{CreatedToken, NewToken, RevokedToken, Role, Session, Token, TokenList};

const TOKENS: &str = "/api/v1/tokens";
const SESSION: &str = "/api/v1/session";

/// `hearth whoami`: as whom the gateway takes whoever asks.
pub(crate) async fn whoami(client: &Client, json: bool) -> anyhow::Result<()> {
    let session: Session = client.get(SESSION).await?;
    if json {
        return screen::json(&session);
    }
    let token = session.id.map(|id| format!(", token {}", screen::one_line(&id)));
    let (name, role) = (screen::one_line(&session.name), role_name(session.role));
    Ok(screen::print(&format!(
        "{name} with the role {role}{}\n",
        token.unwrap_or_default()
    ))?)
}

/// Makes, lists or revokes.
pub(crate) async fn token(client: &Client, command: TokenCommand) -> anyhow::Result<()> {
    match command {
        TokenCommand::New { name, role, json } => {
            new(
                client,
                NewToken {
                    name,
                    role: role.into(),
                },
                json,
            )
            .await
        }
        TokenCommand::List { json } => list(client, json).await,
        TokenCommand::Show { id, json } => show(client, &id, json).await,
        TokenCommand::Revoke { id, json } => revoke(client, &id, json).await,
    }
}

/// The text alone goes to standard output, so that `TOKEN=$(hearth token new laptop)` works.
async fn new(client: &Client, new: NewToken, json: bool) -> anyhow::Result<()> {
    let created: CreatedToken = client.post(TOKENS, serde_json::to_vec(&new)?).await?;
    if json {
        return screen::json(&created);
    }
    let token = &created.token;
    let (id, role, name) = (
        screen::one_line(&token.id),
        role_name(token.role),
        screen::one_line(&token.name),
    );
    screen::tell(format_args!(
        "Token {id} for \"{name}\" with the role {role}; it is shown only now:"
    ));
    screen::print(&format!("{}\n", screen::one_line(&created.secret)))?;
    Ok(())
}

async fn list(client: &Client, json: bool) -> anyhow::Result<()> {
    let list: TokenList = client.get(TOKENS).await?;
    if json {
        return screen::json(&list);
    }
    screen::print(&screen::table(
        ["ID", "NAME", "ROLE", "CREATED"],
        list.tokens.into_iter().map(row),
    ))?;
    Ok(())
}

async fn show(client: &Client, id: &str, json: bool) -> anyhow::Result<()> {
    let token: Token = client.get(&format!("{TOKENS}/{id}")).await?;
    if json {
        return screen::json(&token);
    }
    let mut text = String::new();
    for (label, value) in ["Id", "Name", "Role", "Created"].into_iter().zip(row(token)) {
        line(&mut text, label, screen::one_line(&value));
    }
    Ok(screen::print(&text)?)
}

fn row(token: Token) -> [String; 4] {
    let created = token
        .created
        .unwrap_or_else(|| "provided from outside".to_owned());
    [token.id, token.name, role_name(token.role).to_owned(), created]
}

async fn revoke(client: &Client, id: &str, json: bool) -> anyhow::Result<()> {
    let revoked: RevokedToken = client.delete(&format!("{TOKENS}/{id}")).await?;
    if json {
        return screen::json(&revoked);
    }
    screen::print(&format!(
        "Token {id} ({}) is no longer valid\n",
        screen::one_line(&revoked.token.name)
    ))?;
    if let Some(note) = &revoked.note {
        screen::tell(format_args!("{WARN}{}{WARN:#}", screen::one_line(note)));
    }
    Ok(())
}

fn role_name(role: Role) -> &'static str {
    match role {
        Role::Read => "read",
        Role::Chat => "chat",
        Role::Admin => "admin",
    }
}

impl From<RoleName> for Role {
    fn from(name: RoleName) -> Self {
        match name {
            RoleName::Read => Self::Read,
            RoleName::Chat => Self::Chat,
            RoleName::Admin => Self::Admin,
        }
    }
}

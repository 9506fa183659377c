//! Projects: the parts of an account. Keys are in them; a call is of the project in which its key was when it was made, for ever.

use chrono::{DateTime, Utc};
use domain::{
    account::Project,
    audit::Operation,
    id::{KeyId, ProjectId},
};

use serde_json::json;

use crate::{AccountOwner, AccountReader, Error, Result, audit::Line, keys};

/// A project to be made.
#[derive(Debug, Clone)]
pub struct NewProject<'a> {
    /// Its id. The same id again makes no second project.
    pub id: ProjectId,
    /// What its owner calls it.
    pub name: &'a str,
    /// When.
    pub now: DateTime<Utc>,
}

impl AccountOwner {
    /// Makes a project.
    ///
    /// # Errors
    /// [`Error::Taken`] when there is one of this name, or this id was used; [`Error::Invalid`] for a name that cannot be.
    pub async fn add_project(&self, new: NewProject<'_>) -> Result<()> {
        let name = Error::one_line("name", new.name)?;
        let insert = sqlx::query!(
            "insert into projects (account_id, project_id, name, created_at) values ($1, $2, $3, $4) on conflict (account_id, project_id) do nothing",
            self.account.uuid(),
            new.id.uuid(),
            name,
            new.now
        );
        let mut tx = self.database.change().await?;
        if insert.execute(&mut *tx).await?.rows_affected() == 0 {
            return Err(Error::Taken("this project"));
        }
        tx.commit(Line::new(Operation::ProjectAdd, new.id, name, None, Some(json!({"name": name}))).of(self.account)).await
    }

    /// Puts a key into a project: the calls that are made with it from now on are the project's, those before stay where they are. A proxy knows of it
    /// within a second. Moving it again changes nothing.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the key or the project is not the account's.
    pub async fn move_key(&self, key: KeyId, project: ProjectId) -> Result<()> {
        let update = sqlx::query!(
            r#"
            update api_keys k set project_id = p.project_id
            from projects p
            where k.account_id = $1 and k.key_id = $2 and p.account_id = $1 and p.project_id = $3
            "#,
            self.account.uuid(),
            key.uuid(),
            project.uuid()
        );
        keys::change(&self.database, self.account, (Operation::KeyMove, key), update).await
    }
}

impl AccountReader {
    /// Every project of the account: the one that it has from the beginning, then by name.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn projects(&self) -> Result<Vec<Project>> {
        let projects = sqlx::query_as!(
            Project,
            r#"
            select project_id as "id: ProjectId", name, created_at from projects
            where account_id = $1
            order by project_id <> account_id, lower(name)
            "#,
            self.account.uuid()
        );
        Ok(projects.fetch_all(&mut *self.database.read().await?).await?)
    }
}

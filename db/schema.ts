import pg from "pg";

/** What one role may do with one object of the database. */
export interface Grant {
  /** Name of the role, or `public` for every role. */
  readonly role: string;
  /** The object's kind and name, such as `table scheduler.jobs` or `function scheduler.lock_current`. */
  readonly object: string;
  /** In lower case and in alphabetical order, such as `select, update`. */
  readonly privileges: string;
}

// Schemas of the product. A partition is left out everywhere: it is like its parent, and which ones exist depends on
// the date.
const OWN_SCHEMA = "n.nspname !~ '^pg_' and n.nspname <> 'information_schema'";

// What the dump does not write: views, sequences, foreign tables, types other than a table's row, identity and virtual
// columns, grants on columns, and functions that share a name.
const UNKNOWN_OBJECTS = `
  select format('%s.%s', n.nspname, c.relname) as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
   where ${OWN_SCHEMA} and c.relkind not in ('r', 'p', 'i', 'I', 't')
  union all
  select format('%s.%s', n.nspname, t.typname) from pg_type t join pg_namespace n on n.oid = t.typnamespace
   where ${OWN_SCHEMA} and t.typtype in ('e', 'd', 'r')
  union all
  select format('%s.%s.%s', n.nspname, c.relname, a.attname) from pg_attribute a
    join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
   where ${OWN_SCHEMA} and (a.attacl is not null or a.attidentity <> '' or a.attgenerated not in ('', 's'))
  union all
  select format('%s.%s', n.nspname, p.proname) from pg_proc p join pg_namespace n on n.oid = p.pronamespace
   where ${OWN_SCHEMA} group by n.nspname, p.proname having count(*) > 1
   order by name`;

const SCHEMAS = `
  select n.nspname as name from pg_namespace n where ${OWN_SCHEMA} order by name`;

const TABLES = `
  select c.oid::integer as id, n.nspname as schema, format('%s.%s', n.nspname, c.relname) as name,
         case when c.relkind = 'p' then ' partition by ' || lower(pg_get_partkeydef(c.oid)) else '' end as partitioning
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
   where ${OWN_SCHEMA} and c.relkind in ('r', 'p') and not c.relispartition
   order by n.nspname, c.relname`;

// In the order of the table. A collation is written when it is not the default one of the type.
const COLUMNS = `
  select a.attrelid::integer as id,
         a.attname || ' ' || format_type(a.atttypid, a.atttypmod)
         || case when a.attcollation <> t.typcollation then format(' collate %I', l.collname) else '' end
         || case when a.attnotnull then ' not null' else '' end
         || case when d.adbin is null then ''
                 when a.attgenerated = 's' then format(' generated always as (%s) stored', pg_get_expr(d.adbin, d.adrelid))
                 else format(' default %s', pg_get_expr(d.adbin, d.adrelid)) end as text
    from pg_attribute a join pg_type t on t.oid = a.atttypid
    left join pg_collation l on l.oid = a.attcollation
    left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
   where a.attrelid = any ($1::integer[]::oid[]) and a.attnum > 0 and not a.attisdropped
   order by a.attrelid, a.attnum`;

// Without the constraints of NOT NULL, which the columns show.
const CONSTRAINTS = `
  select o.conrelid::integer as id, format('constraint %I ', o.conname) || pg_get_constraintdef(o.oid) as text
    from pg_constraint o
   where o.conrelid = any ($1::integer[]::oid[]) and o.contype <> 'n'
   order by o.conrelid, o.conname`;

// Without the indexes that a constraint made.
const INDEXES = `
  select i.indrelid::integer as id, pg_get_indexdef(i.indexrelid) || ';' as text
    from pg_index i join pg_class c on c.oid = i.indexrelid
   where i.indrelid = any ($1::integer[]::oid[])
     and not exists (select from pg_constraint o where o.conindid = i.indexrelid and o.contype in ('p', 'u', 'x'))
   order by i.indrelid, c.relname`;

const TRIGGERS = `
  select t.tgrelid::integer as id, pg_get_triggerdef(t.oid) || ';' as text from pg_trigger t
   where t.tgrelid = any ($1::integer[]::oid[]) and not t.tgisinternal order by t.tgrelid, t.tgname`;

const FUNCTIONS = `
  select n.nspname as schema, pg_get_functiondef(p.oid) as text
    from pg_proc p join pg_namespace n on n.oid = p.pronamespace where ${OWN_SCHEMA} order by n.nspname, p.proname`;

// An object without a list of its own has the default one, by which everyone may execute a function. What the owner
// may do is left out.
const GRANTS = `
  with object (name, owner, acl) as (
    select 'schema ' || n.nspname, n.nspowner, coalesce(n.nspacl, acldefault('n', n.nspowner))
      from pg_namespace n where ${OWN_SCHEMA}
    union all
    select format('table %s.%s', n.nspname, c.relname), c.relowner, coalesce(c.relacl, acldefault('r', c.relowner))
      from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where ${OWN_SCHEMA} and c.relkind in ('r', 'p') and not c.relispartition
    union all
    select format('function %s.%s', n.nspname, p.proname), p.proowner, coalesce(p.proacl, acldefault('f', p.proowner))
      from pg_proc p join pg_namespace n on n.oid = p.pronamespace where ${OWN_SCHEMA}
  )
  select coalesce(r.rolname, 'public') as role, object.name as object,
         string_agg(lower(granted.privilege_type), ', ' order by granted.privilege_type) as privileges
    from object, aclexplode(object.acl) as granted left join pg_roles r on r.oid = granted.grantee
   where granted.grantee <> object.owner
   group by r.rolname, object.name
   order by object.name collate "C", coalesce(r.rolname, 'public') collate "C"`;

const HEADER =
  "-- The schema of a freshly migrated database. `npm run schema` writes this file; do not edit it.";

interface Part {
  /** The table's. */
  readonly id: number;
  readonly text: string;
}

/**
 * Writes the schema of a database as SQL, in an order that depends on names only: schemas, then the tables of each
 * with columns, constraints, indexes and triggers, then its functions, then grants. The text is for people and for comparing; nothing executes it. Throws an Error that names every object of a kind that it
 * cannot write.
 */
export function dumpSchema(connectionString: string): Promise<string> {
  return withClient(connectionString, async (client) => {
    const { rows: unknown } = await client.query<{ name: string }>(UNKNOWN_OBJECTS);
    if (unknown.length > 0) {
      const names = unknown.map(({ name }) => name).join(", ");
      throw new Error(`dumpSchema cannot write ${names}; teach db/schema.ts this kind of object.`);
    }
    const { rows: schemas } = await client.query<{ name: string }>(SCHEMAS);
    const tables = await readTables(client);
    const { rows: functions } = await client.query<Described>(FUNCTIONS);
    const grants = await queryGrants(client);
    const blocks = schemas.flatMap(({ name }) => [
      `create schema ${name};`,
      ...[...tables, ...functions.map(tidyFunction)]
        .filter(({ schema }) => schema === name)
        .map(({ text }) => text),
    ]);
    blocks.unshift(HEADER);
    blocks.push(grants.map(toGrant).join("\n"));
    return `${blocks.join("\n\n")}\n`;
  });
}

/**
 * Reads what each role but the owner may do with schemas, tables and functions, in the order of the objects' names.
 */
export function readGrants(connectionString: string): Promise<readonly Grant[]> {
  return withClient(connectionString, queryGrants);
}

async function withClient<T>(connectionString: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

async function queryGrants(client: pg.Client): Promise<readonly Grant[]> {
  return (await client.query<Grant>(GRANTS)).rows;
}

interface Described {
  readonly schema: string;
  readonly text: string;
}

async function readTables(client: pg.Client): Promise<readonly Described[]> {
  const { rows: tables } = await client.query<{
    id: number;
    schema: string;
    name: string;
    partitioning: string;
  }>(TABLES);
  const ids = tables.map(({ id }) => id);
  const read = async (text: string) => (await client.query<Part>(text, [ids])).rows;
  const inside = [...(await read(COLUMNS)), ...(await read(CONSTRAINTS))];
  const after = [...(await read(INDEXES)), ...(await read(TRIGGERS))];
  return tables.map(({ id, schema, name, partitioning }) => {
    const lines = textsOf(inside, id).map((line) => `  ${line}`);
    const table = `create table ${name} (\n${lines.join(",\n")}\n)${partitioning};`;
    return { schema, text: [table, ...textsOf(after, id)].join("\n") };
  });
}

function textsOf(parts: readonly Part[], id: number): string[] {
  return parts.filter((part) => part.id === id).map(({ text }) => text);
}

function tidyFunction({ schema, text }: Described): Described {
  return { schema, text: `${text.trimEnd()};` };
}

function toGrant({ role, object, privileges }: Grant): string {
  return `grant ${privileges} on ${object} to ${role};`;
}

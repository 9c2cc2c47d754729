/* SPDX-License-Identifier: Apache-2.0
 * sql/options: [database], with oslo.db's names, defaults and meaning. */
#include "oslo/options.h"
#include "oslo/sql.h"

static const struct option rows[] = {
    { "database", "connection", OPTION_STR, NULL, "The SQLAlchemy connection string to use to connect to the database:"
        " sqlite:////path/file, or mysql+pymysql://user:password@host[:port][,host...]/schema.", .secret = true,
        .deprecated = OPTION_WORDS("DEFAULT/sql_connection", "DATABASE/sql_connection") },
    { "database", "backend", OPTION_STR, "sqlalchemy", "The back end to use for the database.",
        .choices = OPTION_WORDS("sqlalchemy") },
    { "database", "slave_connection", OPTION_STR, NULL, "Known for existing files: every read goes to connection. (Of the"
        " reference's services nova alone reads there, in periodic tasks of its compute hosts.)", .secret = true },
    { "database", "connection_parameters", OPTION_STR, "",
        "Optional URL parameters to append onto the connection URL at connect time; specify as param1=value1&param2=value2&..." },
    { "database", "sqlite_synchronous", OPTION_BOOL, "true", "If True, SQLite uses synchronous mode: what was answered is on disk." },
    { "database", "use_db_reconnect", OPTION_BOOL, "false", "Upstream's switch for reconnecting; lost connections are always opened"
        " again here, as often as db_max_retries says." },
    { "database", "mysql_sql_mode", OPTION_STR, "TRADITIONAL", "The SQL mode to be used for MySQL sessions. Empty: the server's." },
    { "database", "mysql_wsrep_sync_wait", OPTION_INT, NULL,
        "For Galera only, configure wsrep_sync_wait causality checks on new connections. Not set: the server's own." },
    { "database", "connection_recycle_time", OPTION_INT, "3600",
        "Connections which have been present in the connection pool longer than this number of seconds will be replaced"
        " with a new one the next time they are checked out from the pool.", .min = -1, .max = INT64_MAX },
    { "database", "max_pool_size", OPTION_INT, "5",
        "Maximum number of SQL connections to keep open in a pool. Setting a value of 0 indicates no limit.", .min = 0,
        .max = 100000 },
    { "database", "max_overflow", OPTION_INT, "50", "If set, use this value for max_overflow with SQLAlchemy: connections beyond"
        " max_pool_size that are opened when all are busy. -1: no limit.", .min = -1, .max = 100000 },
    { "database", "pool_timeout", OPTION_INT, "30", "Seconds that a request waits for a free connection, or for a database that is"
        " away, before it is answered 503.", .min = 0, .max = 3600 },
    { "database", "max_retries", OPTION_INT, "10", "Maximum number of database connection retries during startup. Set to -1 to"
        " specify an infinite retry count.", .min = -1, .max = INT64_MAX },
    { "database", "retry_interval", OPTION_INT, "10", "Interval between retries of opening a SQL connection.", .min = 0,
        .max = 86400 },
    { "database", "db_max_retries", OPTION_INT, "20", "Maximum retries in case of connection error or deadlock error before error"
        " is raised. Set to -1 to specify an infinite retry count.", .min = -1, .max = INT64_MAX },
    { "database", "db_retry_interval", OPTION_INT, "1", "Seconds between retries of a database transaction. The first retries come"
        " sooner.", .min = 0, .max = 3600 },
    { "database", "db_inc_retry_interval", OPTION_BOOL, "true",
        "If True, increases the interval between retries of a database operation up to db_max_retry_interval." },
    { "database", "db_max_retry_interval", OPTION_INT, "10", "If db_inc_retry_interval is set, the maximum seconds between retries"
        " of a database operation.", .min = 0, .max = 3600 },
    { "database", "connection_debug", OPTION_INT, "0", "Verbosity of SQL debugging information: 0=None, 100=Everything."
        " Above 0 responses carry the header X-Nubo-Database; from 50 on statements are logged, never their values.", .min = 0,
        .max = 100 },
};
const struct option_table database_options = OPTION_TABLE(rows);

struct db_settings db_settings_read(const struct config *config)
{
    return (struct db_settings){
        .connection = config_str(config, "database", "connection"),
        .connection_parameters = config_str(config, "database", "connection_parameters"),
        .sqlite_asynchronous = !config_bool(config, "database", "sqlite_synchronous"),
        .mysql_sql_mode = config_str(config, "database", "mysql_sql_mode"),
        .mysql_wsrep_sync_wait = config_str(config, "database", "mysql_wsrep_sync_wait") != NULL
                                     ? config_int(config, "database", "mysql_wsrep_sync_wait") : -1,
        .max_pool_size = config_int(config, "database", "max_pool_size"),
        .max_overflow = config_int(config, "database", "max_overflow"),
        .pool_timeout_s = config_int(config, "database", "pool_timeout"),
        .connection_recycle_s = config_int(config, "database", "connection_recycle_time"),
        .max_retries = config_int(config, "database", "max_retries"),
        .retry_interval_s = config_int(config, "database", "retry_interval"),
        .db_max_retries = config_int(config, "database", "db_max_retries"),
        .db_retry_interval_s = config_int(config, "database", "db_retry_interval"),
        .db_max_retry_interval_s = config_int(config, "database", "db_max_retry_interval"),
        .db_inc_retry_interval = config_bool(config, "database", "db_inc_retry_interval"),
        .connection_debug = config_int(config, "database", "connection_debug"),
    };
}

struct db_settings db_settings_default(const char *connection)
{
    return (struct db_settings){
        .connection = connection,
        .mysql_sql_mode = "TRADITIONAL",
        .mysql_wsrep_sync_wait = -1,
        .max_pool_size = 5,
        .max_overflow = 50,
        .pool_timeout_s = 30,
        .connection_recycle_s = 3600,
        .db_max_retries = 20,
        .db_retry_interval_s = 1,
        .db_max_retry_interval_s = 10,
        .db_inc_retry_interval = true,
    };
}

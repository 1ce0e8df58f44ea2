/// What `GET /openapi.json` answers: a description of every route, OpenAPI 3.1 (https://spec.openapis.org/oas/v3.1.1.html).
///
/// Written as values and not kept as a file: paths, methods, scopes, statuses, error codes and limits come from where the router, the table
/// of statuses and the service have them, and a route without a description does not compile.
enum OpenAPI {}

(import_statement) @import
(export_statement source: (string)) @import
; const x = require("y"); other calls are sorted out by the Go part.
(variable_declarator value: (call_expression function: (identifier) arguments: (arguments . (string) .))) @import

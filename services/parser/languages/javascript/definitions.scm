; What differs from TypeScript's grammar.

(class_declaration name: (identifier) @name body: (class_body) @body) @definition.class
(field_definition property: (_) @name value: (arrow_function parameters: (formal_parameters) @parameters body: (_) @body)) @definition.method
(field_definition property: (_) @name) @definition.field
; exports.name = function () {} and Type.prototype.name = function () {}
(assignment_expression left: (member_expression object: (_) property: (property_identifier) @name) right: (function_expression parameters: (formal_parameters) @parameters body: (_) @body)) @definition.function

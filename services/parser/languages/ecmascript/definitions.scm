; Patterns that the grammars of JavaScript and TypeScript have in common.

(function_declaration name: (identifier) @name parameters: (formal_parameters) @parameters body: (statement_block) @body) @definition.function
(generator_function_declaration name: (identifier) @name parameters: (formal_parameters) @parameters body: (statement_block) @body) @definition.function
(method_definition name: (_) @name parameters: (formal_parameters) @parameters body: (statement_block) @body) @definition.method

(variable_declarator name: (identifier) @name value: (arrow_function parameters: (formal_parameters) @parameters body: (_) @body)) @definition.function
(variable_declarator name: (identifier) @name value: (arrow_function parameter: (identifier) @parameters body: (_) @body)) @definition.function
(variable_declarator name: (identifier) @name value: (function_expression parameters: (formal_parameters) @parameters body: (_) @body)) @definition.function
(variable_declarator name: (identifier) @name value: (generator_function parameters: (formal_parameters) @parameters body: (_) @body)) @definition.function
(variable_declarator name: (identifier) @name value: (class body: (class_body) @body)) @definition.class
; Those inside of functions are left out by the Go part.
(variable_declarator name: (identifier) @name) @definition.variable

(export_statement) @outer @exported
(lexical_declaration) @outer
(variable_declaration) @outer
(decorator) @decorator @attribute
(comment) @comment
(export_specifier name: (identifier) @exports)
(export_statement value: (identifier) @exports)

(function_declaration) @block
(generator_function_declaration) @block
(function_expression) @block
(generator_function) @block
(arrow_function) @block
(method_definition) @block
(statement_block) @block
(for_statement) @block
(for_in_statement) @block
(catch_clause) @block
(switch_body) @block

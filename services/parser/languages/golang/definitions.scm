; Definitions at package level, fields and interface methods. The Go part leaves out what functions declare.

(function_declaration name: (identifier) @name parameters: (parameter_list) @parameters body: (block)? @body) @definition.function
(method_declaration receiver: (parameter_list) @receiver name: (field_identifier) @name parameters: (parameter_list) @parameters body: (block)? @body) @definition.method

(type_spec name: (type_identifier) @name type: (struct_type (field_declaration_list) @body)) @definition.struct
(type_spec name: (type_identifier) @name type: (interface_type) @body) @definition.interface
(type_spec name: (type_identifier) @name) @definition.type
(type_alias name: (type_identifier) @name) @definition.type

(field_declaration name: (field_identifier) @name) @definition.field
(method_elem name: (field_identifier) @name parameters: (parameter_list) @parameters) @definition.method

; Without the field: with it only the first name of "a, b = 1, 2" is found.
(const_spec (identifier) @name) @definition.constant
(var_spec (identifier) @name) @definition.variable

(comment) @comment

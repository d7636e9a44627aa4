; Definitions at package level, fields and interface methods. The Go part leaves out what functions declare.

(function_declaration name: (identifier) @name parameters: (parameter_list) @parameters body: (block)? @body) @definition.function
(method_declaration receiver: (parameter_list) @receiver name: (field_identifier) @name parameters: (parameter_list) @parameters body: (block)? @body) @definition.method

(type_spec name: (type_identifier) @name type: (struct_type (field_declaration_list) @body)) @definition.struct
(type_spec name: (type_identifier) @name type: (interface_type) @body) @definition.interface
(type_spec name: (type_identifier) @name) @definition.type
(type_alias name: (type_identifier) @name) @definition.type

(field_declaration name: (field_identifier) @name) @definition.field
(method_elem name: (field_identifier) @name parameters: (parameter_list) @parameters) @definition.method

; A pattern from source_file on would find only the first name of "a, b = 1, 2".
(const_spec name: (identifier) @name) @definition.constant
(var_spec name: (identifier) @name) @definition.variable

(comment) @comment

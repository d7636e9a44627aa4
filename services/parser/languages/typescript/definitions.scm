; What TypeScript has beyond JavaScript.

(class_declaration name: (type_identifier) @name body: (class_body) @body) @definition.class
(abstract_class_declaration name: (type_identifier) @name body: (class_body) @body) @definition.class
(interface_declaration name: (type_identifier) @name body: (_) @body) @definition.interface
(type_alias_declaration name: (type_identifier) @name) @definition.type
(enum_declaration name: (identifier) @name body: (enum_body) @body) @definition.enum
(enum_body name: (property_identifier) @name @definition.constant)
(enum_assignment name: (property_identifier) @name) @definition.constant
(internal_module name: (_) @name body: (statement_block) @body) @definition.module
(module name: (_) @name body: (statement_block) @body) @definition.module
(ambient_declaration "global" @name (statement_block) @body) @definition.module

(function_signature name: (identifier) @name parameters: (formal_parameters) @parameters) @definition.function
(method_signature name: (_) @name parameters: (formal_parameters) @parameters) @definition.method
(abstract_method_signature (accessibility_modifier)? @modifiers name: (_) @name parameters: (formal_parameters) @parameters) @definition.method
(method_definition (accessibility_modifier) @modifiers name: (_) @name parameters: (formal_parameters) @parameters body: (statement_block) @body) @definition.method
(public_field_definition (accessibility_modifier)? @modifiers name: (_) @name value: (arrow_function parameters: (formal_parameters) @parameters body: (_) @body)) @definition.method
(public_field_definition (accessibility_modifier)? @modifiers name: (_) @name) @definition.field
(property_signature name: (_) @name) @definition.field

(ambient_declaration) @outer
(function_signature) @block
(method_signature) @block
(abstract_method_signature) @block
(call_signature) @block
(construct_signature) @block
(function_type) @block
(class_declaration) @block
(abstract_class_declaration) @block
(interface_declaration) @block
(type_alias_declaration) @block

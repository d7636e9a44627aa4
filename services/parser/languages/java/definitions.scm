; Types and their members at any depth, and the package.

(package_declaration (_) @name) @definition.module
(class_declaration (modifiers)? @modifiers name: (identifier) @name body: (_) @body) @definition.class
(record_declaration (modifiers)? @modifiers name: (identifier) @name parameters: (formal_parameters) @parameters body: (_) @body) @definition.struct
(interface_declaration (modifiers)? @modifiers name: (identifier) @name body: (_) @body) @definition.interface
(annotation_type_declaration (modifiers)? @modifiers name: (identifier) @name body: (_) @body) @definition.interface
(enum_declaration (modifiers)? @modifiers name: (identifier) @name body: (_) @body) @definition.enum
(enum_constant name: (identifier) @name) @definition.constant

(method_declaration (modifiers)? @modifiers name: (identifier) @name parameters: (formal_parameters) @parameters body: (block)? @body) @definition.method
(constructor_declaration (modifiers)? @modifiers name: (identifier) @name parameters: (formal_parameters) @parameters body: (_) @body) @definition.method
(compact_constructor_declaration (modifiers)? @modifiers name: (identifier) @name body: (_) @body) @definition.method
(annotation_type_element_declaration (modifiers)? @modifiers name: (identifier) @name) @definition.method

(field_declaration (modifiers)? @modifiers declarator: (variable_declarator name: (identifier) @name)) @definition.field
(constant_declaration (modifiers)? @modifiers declarator: (variable_declarator name: (identifier) @name)) @definition.constant

(modifiers (marker_annotation) @decorator)
(modifiers (annotation) @decorator)
(line_comment) @comment
(block_comment) @comment

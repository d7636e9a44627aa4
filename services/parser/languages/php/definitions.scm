; Namespaces, types and functions at any depth, members.

(namespace_definition name: (namespace_name) @name) @definition.module
(class_declaration name: (name) @name body: (_) @body) @definition.class
(interface_declaration name: (name) @name body: (_) @body) @definition.interface
(trait_declaration name: (name) @name body: (_) @body) @definition.trait
(enum_declaration name: (name) @name body: (_) @body) @definition.enum
(enum_case name: (name) @name) @definition.constant

(function_definition name: (name) @name parameters: (formal_parameters) @parameters body: (_) @body) @definition.function
(method_declaration (visibility_modifier)? @modifiers name: (name) @name parameters: (formal_parameters) @parameters body: (_)? @body) @definition.method
(const_element . (name) @name) @definition.constant
(property_declaration (visibility_modifier)? @modifiers (property_element (variable_name (name) @name))) @definition.field
(property_promotion_parameter visibility: (visibility_modifier) @modifiers name: (variable_name (name) @name)) @definition.field

(attribute_list) @decorator
(comment) @comment
(const_declaration) @outer

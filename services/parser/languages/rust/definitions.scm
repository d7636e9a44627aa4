; Items at any depth, fields and enum variants. An impl block is a scope: it names the type that its functions belong to.

(function_item (visibility_modifier)? @modifiers name: (_) @name parameters: (parameters) @parameters body: (block) @body) @definition.function
(function_signature_item (visibility_modifier)? @modifiers name: (_) @name parameters: (parameters) @parameters) @definition.function
(struct_item (visibility_modifier)? @modifiers name: (type_identifier) @name body: (field_declaration_list) @body) @definition.struct
(struct_item (visibility_modifier)? @modifiers name: (type_identifier) @name) @definition.struct
(union_item (visibility_modifier)? @modifiers name: (type_identifier) @name body: (_) @body) @definition.struct
(enum_item (visibility_modifier)? @modifiers name: (type_identifier) @name body: (_) @body) @definition.enum
(enum_variant name: (identifier) @name) @definition.constant
(trait_item (visibility_modifier)? @modifiers name: (type_identifier) @name body: (_) @body) @definition.trait
(type_item (visibility_modifier)? @modifiers name: (type_identifier) @name) @definition.type
(associated_type name: (type_identifier) @name) @definition.type
(mod_item (visibility_modifier)? @modifiers name: (identifier) @name body: (_)? @body) @definition.module
(const_item (visibility_modifier)? @modifiers name: (identifier) @name) @definition.constant
(static_item (visibility_modifier)? @modifiers name: (identifier) @name) @definition.variable
(field_declaration (visibility_modifier)? @modifiers name: (field_identifier) @name) @definition.field
(macro_definition name: (identifier) @name . (macro_rule) @body) @definition.macro
(macro_definition name: (identifier) @name) @definition.macro

(impl_item type: (_) @name) @scope

(line_comment) @comment
(block_comment) @comment
(attribute_item) @attribute

; Functions and classes at any depth, names assigned at the top of modules and classes. Those with a documentation string
; come first, since the first pattern of a node holds.

(function_definition name: (identifier) @name parameters: (parameters) @parameters body: (block . (expression_statement . (string) @doc)) @body) @definition.function
(function_definition name: (identifier) @name parameters: (parameters) @parameters body: (block) @body) @definition.function
(class_definition name: (identifier) @name body: (block . (expression_statement . (string) @doc)) @body) @definition.class
(class_definition name: (identifier) @name body: (block) @body) @definition.class
(decorated_definition) @outer

(assignment left: (identifier) @name) @definition.variable
(assignment left: (pattern_list (identifier) @name)) @definition.variable
(type_alias_statement . (type (identifier) @name)) @definition.type

(comment) @comment

; Methods, classes and modules at any depth, and constants.

(method name: (_) @name parameters: (method_parameters) @parameters body: (_)? @body) @definition.function
(method name: (_) @name !parameters body: (_)? @body) @definition.function
(singleton_method object: (_) @receiver name: (_) @name parameters: (method_parameters) @parameters body: (_)? @body) @definition.method
(singleton_method object: (_) @receiver name: (_) @name !parameters body: (_)? @body) @definition.method
(class name: (constant) @name body: (_)? @body) @definition.class
(class name: (scope_resolution scope: (_) @receiver name: (constant) @name) body: (_)? @body) @definition.class
(module name: (constant) @name body: (_)? @body) @definition.module
(module name: (scope_resolution scope: (_) @receiver name: (constant) @name) body: (_)? @body) @definition.module
(assignment left: (constant) @name) @definition.constant

(singleton_class value: (_) @name) @scope

(comment) @comment

; The statements are those of ECMAScript.

package githubtest

func operationOf([]byte) string { return "" }

func (s *Server) graphQL(*call) answer { return notFound() }

package main

import (
	"fmt"
	"log/slog"
	"os"
	"strings"
)

// grpcLog writes what gRPC itself has to say to the process's log: its errors as warnings, since calls that fail say so
// themselves and connections are made again; its warnings for who debugs; the rest nowhere. It implements grpclog.LoggerV2.
type grpcLog struct{ logger *slog.Logger }

func (grpcLog) Info(...any)          {}
func (grpcLog) Infoln(...any)        {}
func (grpcLog) Infof(string, ...any) {}
func (grpcLog) V(int) bool           { return false }

func (g grpcLog) Warning(args ...any)            { g.debug(fmt.Sprint(args...)) }
func (g grpcLog) Warningln(args ...any)          { g.debug(fmt.Sprintln(args...)) }
func (g grpcLog) Warningf(f string, args ...any) { g.debug(fmt.Sprintf(f, args...)) }
func (g grpcLog) Error(args ...any)              { g.warn(fmt.Sprint(args...)) }
func (g grpcLog) Errorln(args ...any)            { g.warn(fmt.Sprintln(args...)) }
func (g grpcLog) Errorf(f string, args ...any)   { g.warn(fmt.Sprintf(f, args...)) }
func (g grpcLog) Fatal(args ...any)              { g.fatal(fmt.Sprint(args...)) }
func (g grpcLog) Fatalln(args ...any)            { g.fatal(fmt.Sprintln(args...)) }
func (g grpcLog) Fatalf(f string, args ...any)   { g.fatal(fmt.Sprintf(f, args...)) }

func (g grpcLog) debug(text string) { g.logger.Debug("grpc", "text", strings.TrimSpace(text)) }
func (g grpcLog) warn(text string)  { g.logger.Warn("grpc", "text", strings.TrimSpace(text)) }

func (g grpcLog) fatal(text string) {
	g.logger.Error("grpc", "text", strings.TrimSpace(text))
	os.Exit(1) //nolint:forbidigo // gRPC asks for the end of the process
}

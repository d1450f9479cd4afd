import ClocheCommands

CommandLineMain.run()

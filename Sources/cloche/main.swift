import PreparedCommands

PreparedLaunch.run()
